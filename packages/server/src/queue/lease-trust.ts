/** Part of a lease that may pass between two looks before it is doubted that anybody could have renewed it. */
const LOOK_SHARE = 2 / 3

/** Milliseconds of the wall clock, and of one that is never set. */
export interface Clocks {
  wall(): number
  monotonic(): number
}

export const SYSTEM_CLOCKS: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() }

/**
 * Knows when a lease that is over proves nothing: after an outage or a hang of the database nobody could renew one, after
 * a jump of the clock or a suspended machine all are over at once. Then leases hold for one more lease time, in which
 * runners that live renew theirs.
 */
export class LeaseTrust {
  readonly #leaseMilliseconds: number
  readonly #clocks: Clocks | undefined
  #holdUntil = Number.NEGATIVE_INFINITY
  #lastLook: { readonly wall: number; readonly monotonic: number } | undefined

  /** @param clocks absent: none is watched, and only `doubt` lets leases hold */
  constructor(leaseSeconds: number, clocks?: Clocks) {
    this.#leaseMilliseconds = leaseSeconds * 1000
    this.#clocks = clocks
  }

  /** The database could not be asked. */
  doubt(): void {
    this.#holdUntil = this.#monotonic() + this.#leaseMilliseconds
  }

  /** Asked each time the database has just answered, about once a second. */
  leasesHold(): boolean {
    const now = { wall: this.#clocks?.wall() ?? 0, monotonic: this.#monotonic() }
    const last = this.#lastLook ?? now
    this.#lastLook = now
    const passed = Math.max(now.wall - last.wall, now.monotonic - last.monotonic)
    if (this.#clocks !== undefined && passed > this.#leaseMilliseconds * LOOK_SHARE) this.doubt()
    return now.monotonic < this.#holdUntil
  }

  #monotonic(): number {
    return this.#clocks?.monotonic() ?? performance.now()
  }
}
