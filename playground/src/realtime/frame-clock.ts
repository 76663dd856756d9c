/** How fast pictures come. */
export interface LiveRate {
  /** Pictures per second over the last two seconds. */
  readonly perSecond: number
  /** Median time from sending an input to its picture, of the last 30. */
  readonly latencyMs: number | undefined
}

const WINDOW_MILLISECONDS = 2000
const LATENCIES = 30

/** Measures frame rate and latency; times are given, in milliseconds. */
export class FrameClock {
  readonly #arrivals: number[] = []
  readonly #latencies: number[] = []

  /** A picture has come for an input that was sent at `sentAt`. */
  tick(now: number, sentAt: number): LiveRate {
    this.#arrivals.push(now)
    while ((this.#arrivals[0] ?? now) < now - WINDOW_MILLISECONDS) this.#arrivals.shift()
    this.#latencies.push(now - sentAt)
    if (this.#latencies.length > LATENCIES) this.#latencies.shift()
    const [first = now] = this.#arrivals
    const span = now - first
    return {
      // Pictures after the first, over the time they took.
      perSecond: span > 0 ? ((this.#arrivals.length - 1) * 1000) / span : 0,
      latencyMs: this.#latencies.toSorted((a, b) => a - b)[Math.floor(this.#latencies.length / 2)],
    }
  }
}
