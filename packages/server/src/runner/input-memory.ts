interface Waiting {
  readonly bytes: number
  readonly take: () => void
}

/** One request's part of the memory. */
export interface MemoryShare {
  /** Waits until so many more bytes may be held. @throws the signal's reason */
  reserve(bytes: number): Promise<void>
  /** Gives back all of it. */
  release(): void
}

/**
 * What the pictures of all requests may take together, first come, first served. A request reserves once, for all of its pictures: one
 * that holds some and waits for more could wait for another that does the same. More than there is waits until it is alone.
 */
export class InputMemory {
  readonly #total: number
  #held = 0
  readonly #line: Waiting[] = []

  constructor(totalBytes: number) {
    this.#total = totalBytes
  }

  share(signal: AbortSignal): MemoryShare {
    let held = 0
    let isReleased = false
    return {
      reserve: async (bytes) => {
        await this.#wait(bytes, signal)
        // The request was answered while it waited (its handler did not listen to the abort).
        if (isReleased) this.#giveBack(bytes)
        else held += bytes
      },
      release: () => {
        isReleased = true
        this.#giveBack(held)
        held = 0
      },
    }
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#line.splice(this.#line.indexOf(waiting), 1)
        reject(signal.reason)
        this.#serve()
      }
      const waiting: Waiting = {
        bytes,
        take: () => {
          signal.removeEventListener('abort', leave)
          this.#held += bytes
          resolve()
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#line.push(waiting)
      this.#serve()
    })
  }

  #giveBack(bytes: number): void {
    this.#held -= bytes
    this.#serve()
  }

  #serve(): void {
    for (let next = this.#line[0]; next !== undefined; next = this.#line[0]) {
      if (this.#held > 0 && this.#held + next.bytes > this.#total) break
      this.#line.shift()
      next.take()
    }
  }
}
