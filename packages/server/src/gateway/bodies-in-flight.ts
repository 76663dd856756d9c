import { requestError } from '../errors/errors.ts'
import type { BodyLease } from './body-lease.ts'

/** Bodies of this size are always taken: nearly all are, and thousands of them come to little. */
const SMALL_BYTES = 64 * 1024

/** Memory for the bodies of calls and the messages of sockets that are underway: of all clients together, and of one account. */
export class BodiesInFlight {
  readonly #most: number
  readonly #share: number
  readonly #byAccount = new Map<string, number>()
  #bytes = 0

  /**
   * @param most bytes
   * @param largest of one body; an account may hold half of all, and that at least
   */
  constructor(most: number, largest: number) {
    this.#most = Math.max(most, largest)
    this.#share = Math.max(most / 2, largest)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @param accountOf asked when there is something to hold: whoever calls has shown a key by then */
  lease(accountOf: () => string): BodyLease {
    let held = 0
    let account = ''
    const change = (bytes: number) => {
      this.#bytes += bytes
      const left = (this.#byAccount.get(account) ?? 0) + bytes
      if (left === 0) this.#byAccount.delete(account)
      else this.#byAccount.set(account, left)
    }
    return {
      hold: (bytes) => {
        const wanted = bytes <= SMALL_BYTES ? 0 : bytes
        if (wanted <= held) return
        if (held === 0) account = accountOf()
        const more = wanted - held
        if (this.#bytes + more > this.#most || (this.#byAccount.get(account) ?? 0) + more > this.#share) {
          throw requestError(
            'concurrent_requests_limit',
            'This server holds as many large request bodies as it can: try again, or upload files to storage and send their URLs',
          )
        }
        change(more)
        held = wanted
      },
      release: () => {
        change(-held)
        held = 0
      },
    }
  }
}
