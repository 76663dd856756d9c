import type { RunnerAdvertisement } from './request-queue.ts'

/** How long a list of runners is believed: it only decides who is offered a request first. */
const FRESH_MILLISECONDS = 1000

/** Knows which endpoints' models are loaded at other runners that have nothing to do. */
export class WarmRunners {
  readonly #list: () => Promise<readonly RunnerAdvertisement[]>
  #runners: readonly RunnerAdvertisement[] = []
  #readAt = Number.NEGATIVE_INFINITY

  constructor(list: () => Promise<readonly RunnerAdvertisement[]>) {
    this.#list = list
  }

  /** Those of `endpointIds` that are cold at this runner and warm at another one with capacity to spare. */
  async deferred(
    runnerId: string,
    endpointIds: readonly string[],
    warm: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const cold = endpointIds.filter((id) => !warm.includes(id))
    if (cold.length === 0) return new Set()
    if (performance.now() - this.#readAt > FRESH_MILLISECONDS) {
      this.#readAt = performance.now()
      this.#runners = await this.#list()
    }
    const idle = this.#runners.filter((runner) => runner.runnerId !== runnerId && runner.busy < runner.capacity)
    return new Set(cold.filter((id) => idle.some((runner) => runner.warm.includes(id))))
  }
}
