import { WaitingLine } from '../waiting/waiting-line.ts'

/** One request's part of the memory. */
export interface MemoryShare {
  /** Waits until so many more bytes may be held. @throws the signal's reason */
  reserve(bytes: number): Promise<void>
  /** Gives back all of it. */
  release(): void
}

/** What of all memory is kept for requests of small pictures. */
const SMALL_PART = 1 / 8
/** Of small ones that many have room there, whatever their size: with 512 MiB pictures of 2.8 million pixels are small. */
const MOST_SMALL = 8

/**
 * What the pictures of all requests may take together. A request reserves once, for all of its pictures: one that holds some and waits for
 * more could wait for another that does the same. Small pictures have a part of their own, so that none waits for 64 million pixels.
 */
export class InputMemory {
  readonly #small: Pool
  readonly #large: Pool
  readonly #mostOfSmall: number

  constructor(totalBytes: number) {
    const small = totalBytes * SMALL_PART
    this.#mostOfSmall = small / MOST_SMALL
    this.#small = new Pool(small)
    this.#large = new Pool(totalBytes - small)
  }

  share(account: string, signal: AbortSignal): MemoryShare {
    const shares = { small: this.#small.share(account, signal), large: this.#large.share(account, signal) }
    return {
      reserve: (bytes) => shares[bytes <= this.#mostOfSmall ? 'small' : 'large'].reserve(bytes),
      release() {
        shares.small.release()
        shares.large.release()
      },
    }
  }
}

/** Memory for some, accounts in turn and first come, first served. More than there is waits until it is alone. */
class Pool {
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
