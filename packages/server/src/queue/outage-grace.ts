/**
 * Part of a lease that may pass between two looks before it is doubted that it could be renewed. A runner renews every
 * second, so of a lease of 6 s at least 2 are left after an outage of 3: a database that only restarts is no reason to let the
 * requests of a dead runner wait.
 */
const LOOK_SHARE = 1 / 2
/** Part of a lease for which leases hold then: time for three renewals, and no more, for the dead ones' requests wait for it too. */
const HOLD_SHARE = 1 / 2

/** Milliseconds of the wall clock, and of one that is never set. */
export interface Clocks {
  wall(): number
  monotonic(): number
}

const SYSTEM_CLOCKS: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() }

/**
 * Knows when a lease that is over proves nothing: after an outage or a hang of the database nobody could renew one, after
 * a jump of the clock or a suspended machine all are over at once. Then leases hold for a while longer, in which runners
 * that live renew theirs.
 */
export class OutageGrace {
  readonly #leaseMs: number
  readonly #clocks: Clocks
  #holdUntil = Number.NEGATIVE_INFINITY
  #lastLook: { readonly wall: number; readonly monotonic: number }

  constructor(leaseSeconds: number, clocks: Clocks = SYSTEM_CLOCKS) {
    this.#leaseMs = leaseSeconds * 1000
    this.#clocks = clocks
    // Begun now, not at the first look: work may start, and the machine be suspended, before that.
    this.#lastLook = this.#now()
  }

  /** Asked each time the database has just answered, about once a second. */
  leasesHold(): boolean {
    const now = this.#now()
    const last = this.#lastLook
    this.#lastLook = now
    const passed = Math.max(now.wall - last.wall, now.monotonic - last.monotonic)
    if (passed > this.#leaseMs * LOOK_SHARE) this.#holdUntil = now.monotonic + this.#leaseMs * HOLD_SHARE
    return now.monotonic < this.#holdUntil
  }
  #now(): { readonly wall: number; readonly monotonic: number } {
    return { wall: this.#clocks.wall(), monotonic: this.#clocks.monotonic() }
  }
}
