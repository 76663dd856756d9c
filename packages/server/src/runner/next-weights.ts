import type { RunnableEndpoint } from '../endpoints/endpoint.ts'
import type { UpcomingRequest } from '../queue/request-queue.ts'
import type { InputValidation } from './attempt.ts'

export interface NextWeightsOptions {
  /** What the runner would claim now. */
  readonly peek: () => Promise<UpcomingRequest | undefined>
  readonly endpoints: ReadonlyMap<string, RunnableEndpoint>
  readonly validation: InputValidation
  /** The queue is not looked at again within so many milliseconds. */
  readonly intervalMs: number
}

/**
 * While a runner draws it does not claim; so that the next request does not wait for the disk then, the weights that it names are read before.
 * Only a hint: what cannot be found or read is left to the request itself, which says why.
 */
export class NextWeights {
  readonly #options: NextWeightsOptions
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking = false
  #isEnded = false
  /** The request whose weights were read last. */
  #next: { readonly requestId: string; readonly controller: AbortController } | undefined

  constructor(options: NextWeightsOptions) {
    this.#options = options
  }

  /** Sees what comes next, unless it did so a moment ago. */
  async look(): Promise<void> {
    const isEarly = performance.now() - this.#lookedAt < this.#options.intervalMs
    if (this.#isEnded || this.#looking || isEarly) return
    this.#lookedAt = performance.now()
    this.#looking = true
    try {
      const next = await this.#options.peek()
      if (next !== undefined && next.requestId !== this.#next?.requestId && !this.#isEnded) this.#read(next)
    } catch {
      // The database is away: the claim says so.
    } finally {
      this.#looking = false
    }
  }

  /** Says what was claimed: reading for another request ends. */
  claimed(requestId: string | undefined): void {
    if (requestId !== this.#next?.requestId) this.#stop()
  }

  end(): void {
    this.#isEnded = true
    this.#stop()
  }

  #stop(): void {
    this.#next?.controller.abort()
    this.#next = undefined
  }

  #read({ requestId, endpointId, input }: UpcomingRequest): void {
    this.#stop()
    const controller = new AbortController()
    this.#next = { requestId, controller }
    const endpoint = this.#options.endpoints.get(endpointId)
    if (endpoint?.readWeightsAhead === undefined || input === undefined) return
    try {
      const { validation } = this.#options
      const validated = validation.validate(endpoint.schema, validation.parseInput(input))
      endpoint.readWeightsAhead(validated, controller.signal).catch(() => {})
    } catch {
      // An input that is refused names nothing.
    }
  }
}
