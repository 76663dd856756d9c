import { WaitingLine } from '../waiting/waiting-line.ts'

/**
 * Lets pieces of work into the event loop one a round, accounts in turn. The embedded database answers at once and sockets take what they
 * have room for, so that work which only awaits these never lets others in between; nor does a `setImmediate` of each, for all of those
 * run in one round.
 */
export class EventLoopTurns {
  readonly #line = new WaitingLine<string>((account) => account)
  #isScheduled = false

  /** Resolves when it is the turn of this piece. @throws the signal's reason */
  async take(account: string, signal?: AbortSignal): Promise<void> {
    const turn = this.#line.join(account, signal)
    this.#schedule()
    await turn
  }

  #schedule(): void {
    if (this.#isScheduled || this.#line.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#line.admit()
      this.#schedule()
    })
  }
}
