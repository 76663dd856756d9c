import { WaitingLine } from '../waiting/waiting-line.ts'

/** Turns of one round, whatever time is left. */
const MOST_A_ROUND = 16

/**
 * Lets pieces of work into the event loop, some a round, clients in turn. The embedded database answers at once and sockets take what they
 * have room for, so that work which only awaits these never lets others in between; nor does a `setImmediate` of each, for all of those
 * run in one round.
 */
export class EventLoopTurns {
  readonly #line = new WaitingLine<string>((client) => client)
  readonly #milliseconds: number
  /** Callbacks of this round that are still to come. */
  #scheduled = 0
  #roundBegan = 0

  /** @param milliseconds in which others are let in, in the same round; one a round when absent */
  constructor(milliseconds = 0) {
    this.#milliseconds = milliseconds
  }

  /** Resolves when it is the turn of this piece. @throws the signal's reason */
  async take(client: string, signal?: AbortSignal): Promise<void> {
    const turn = this.#line.join(client, signal)
    this.#schedule()
    await turn
  }

  /** What was let in does its work behind its callback, before the next one. */
  #schedule(): void {
    if (this.#scheduled > 0 || this.#line.length === 0) return
    this.#scheduled = this.#milliseconds === 0 ? 1 : Math.min(this.#line.length, MOST_A_ROUND)
    this.#roundBegan = Number.NaN
    for (let i = 0; i < this.#scheduled; i++) setImmediate(() => this.#admit())
  }

  #admit(): void {
    this.#scheduled -= 1
    const now = performance.now()
    const isFirst = Number.isNaN(this.#roundBegan)
    if (isFirst) this.#roundBegan = now
    if (isFirst || now - this.#roundBegan < this.#milliseconds) this.#line.admit()
    this.#schedule()
  }
}
