import type { RunnerAdvertisement } from '../queue/request-queue.ts'

/** Younger than this, the list is used as it is; older, it is used and read again behind the caller's back. */
const FRESH_MILLISECONDS = 1_000
/** Older than this, the caller waits for a new list. */
const STALE_MILLISECONDS = 10_000
/** A runner that could not be reached or said it is going is left alone this long. */
const AVOID_MILLISECONDS = 2_000

/**
 * The runners that are up, as the queue last listed them. Reading the list costs a database query, so the path of a
 * sync run never waits for one while a usable list is at hand.
 */
export class RunnerDirectory {
  readonly #list: () => Promise<readonly RunnerAdvertisement[]>
  readonly #onRead: (runners: readonly RunnerAdvertisement[]) => void
  readonly #avoidUntil = new Map<string, number>()
  #runners: readonly RunnerAdvertisement[] = []
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor(
    list: () => Promise<readonly RunnerAdvertisement[]>,
    onRead: (runners: readonly RunnerAdvertisement[]) => void = () => {},
  ) {
    this.#list = list
    this.#onRead = onRead
  }

  /** Runners that answer the endpoint; reads the list again when it names none. */
  async of(endpointId: string): Promise<readonly RunnerAdvertisement[]> {
    const age = performance.now() - this.#readAt
    if (age > STALE_MILLISECONDS) await this.#read()
    else if (age > FRESH_MILLISECONDS) this.#read().catch(() => {})
    const known = this.#usable(endpointId)
    if (known.length > 0) return known
    await this.#read()
    return this.#usable(endpointId)
  }

  avoid(runnerId: string): void {
    this.#avoidUntil.set(runnerId, performance.now() + AVOID_MILLISECONDS)
  }

  #usable(endpointId: string): readonly RunnerAdvertisement[] {
    const now = performance.now()
    return this.#runners.filter(
      (runner) => runner.endpointIds.includes(endpointId) && (this.#avoidUntil.get(runner.runnerId) ?? 0) <= now,
    )
  }

  #read(): Promise<void> {
    this.#reading ??= this.#list()
      .then((runners) => {
        this.#runners = runners
        this.#readAt = performance.now()
        this.#forgetAvoided()
        this.#onRead(runners)
      })
      .finally(() => {
        this.#reading = undefined
      })
    return this.#reading
  }

  #forgetAvoided(): void {
    const now = performance.now()
    for (const [runnerId, until] of this.#avoidUntil) {
      if (until <= now) this.#avoidUntil.delete(runnerId)
    }
  }
}
