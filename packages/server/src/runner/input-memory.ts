import { WaitingLine } from '../waiting/waiting-line.ts'

/** One request's part of the memory. */
export interface MemoryShare {
  /** Waits until so many more bytes may be held. @throws the signal's reason */
  reserve(bytes: number): Promise<void>
  /** Gives back all of it. */
  release(): void
}

/**
 * What the pictures of all requests may take together, accounts in turn and first come, first served. A request reserves once, for all of
 * its pictures: one that holds some and waits for more could wait for another that does the same. More than there is waits until it is
 * alone.
 */
export class InputMemory {
  readonly #total: number
  #held = 0
  readonly #line = new WaitingLine<{ readonly account: string; readonly bytes: number }>(({ account }) => account)

  constructor(totalBytes: number) {
    this.#total = totalBytes
  }

  share(account: string, signal: AbortSignal): MemoryShare {
    let held = 0
    let isReleased = false
    return {
      reserve: async (bytes) => {
        await this.#wait(account, bytes, signal)
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

  async #wait(account: string, bytes: number, signal: AbortSignal): Promise<void> {
    const turn = this.#line.join({ account, bytes }, signal)
    this.#serve()
    try {
      await turn
    } catch (error) {
      // Who leaves the line may have kept others from what there is room for.
      this.#serve()
      throw error
    }
  }

  #giveBack(bytes: number): void {
    this.#held -= bytes
    this.#serve()
  }

  /** Whoever's turn it is waits for room, and all others behind: small ones would keep a large one waiting for ever. */
  #serve(): void {
    for (let { first } = this.#line; first !== undefined; first = this.#line.first) {
      if (this.#held > 0 && this.#held + first.bytes > this.#total) break
      this.#line.admit()
      this.#held += first.bytes
    }
  }
}
