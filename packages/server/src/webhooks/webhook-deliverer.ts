import type { ProcessLog } from '../log/process-log.ts'
import type { OutboundHttp } from '../security/outbound-http.ts'
import { attemptDelivery, type Verdict } from './delivery-attempt.ts'
import type { SigningKey } from './signature.ts'
import type { BusyReceivers, LeasedDelivery, WebhookOutbox } from './webhook-outbox.ts'

export interface DeliveryOptions {
  /** Deliveries at a time in this process. */
  readonly concurrency: number
  /** Of them to one host, and of one account: what a receiver that is slow has others wait for. */
  readonly perHost: number
  readonly perAccount: number
  readonly maxAttempts: number
  readonly firstTimeoutSeconds: number
  readonly laterTimeoutSeconds: number
  /** Pause after the first attempt; doubles with each further one. */
  readonly baseDelaySeconds: number
  readonly maxDelaySeconds: number
  /** How often the outbox is looked at when nobody calls `wake`. */
  readonly pollSeconds: number
}

/** fal's documented policy: 15 s, then 120 s, up to 31 retries. With these pauses the last one comes 4 hours later. */
export const DELIVERY_DEFAULTS: DeliveryOptions = {
  concurrency: 32,
  perHost: 6,
  perAccount: 12,
  maxAttempts: 32,
  firstTimeoutSeconds: 15,
  laterTimeoutSeconds: 120,
  baseDelaySeconds: 5,
  maxDelaySeconds: 600,
  pollSeconds: 1,
}

/** Time between the end of an attempt and its record, after which somebody else may try. */
const LEASE_MARGIN_SECONDS = 10

export interface DelivererDependencies {
  readonly outbox: WebhookOutbox
  readonly http: OutboundHttp
  readonly key: SigningKey
  readonly log: ProcessLog
}

/** Works the outbox off until it is stopped. Any number of processes may do so on one database. */
export class WebhookDeliverer {
  readonly #dependencies: DelivererDependencies
  readonly #options: DeliveryOptions
  readonly #inFlight = new Map<LeasedDelivery, Promise<void>>()
  readonly #abort = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #leasing: Promise<void> | undefined
  /** `wake` was called while leasing: there may be more than what that saw. */
  #again = false
  #stopped = false
  /** The last look at the outbox failed: told once. */
  #failing = false

  constructor(dependencies: DelivererDependencies, options: Partial<DeliveryOptions> = {}) {
    this.#dependencies = dependencies
    this.#options = { ...DELIVERY_DEFAULTS, ...options }
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), this.#options.pollSeconds * 1000)
    this.wake()
  }

  /** A request with a webhook may have been completed: look now instead of at the next poll. */
  wake(): void {
    if (this.#stopped) return
    this.#again = true
    this.#leasing ??= this.#leaseAll().finally(() => {
      this.#leasing = undefined
      if (this.#again && this.#hasRoom()) this.wake()
    })
  }

  /**
   * Takes nothing new, waits for what is being sent and cuts that off after `graceSeconds`. What is cut off is sent
   * again when its lease is over, by whoever runs then.
   */
  async stop(graceSeconds = 10): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    const cut = setTimeout(() => this.#abort.abort(new Error('the server is stopping')), graceSeconds * 1000)
    await this.#leasing
    await Promise.all(this.#inFlight.values())
    clearTimeout(cut)
  }

  #hasRoom(): boolean {
    return !this.#stopped && this.#inFlight.size < this.#options.concurrency
  }

  #busy(): BusyReceivers {
    const { perAccount, perHost } = this.#options
    const underway = [...this.#inFlight.keys()]
    return {
      accounts: namesOfAtLeast(
        perAccount,
        underway.map(({ account }) => account),
      ),
      hosts: namesOfAtLeast(
        perHost,
        underway.map(({ host }) => host),
      ),
    }
  }

  async #leaseAll(): Promise<void> {
    const { outbox, log } = this.#dependencies
    const { firstTimeoutSeconds, laterTimeoutSeconds } = this.#options
    const seconds = {
      firstAttempt: firstTimeoutSeconds + LEASE_MARGIN_SECONDS,
      laterAttempts: laterTimeoutSeconds + LEASE_MARGIN_SECONDS,
    }
    while (this.#hasRoom()) {
      this.#again = false
      try {
        // One by one: what is busy changes with each.
        const delivery = await outbox.lease(seconds, this.#busy())
        this.#failing = false
        if (delivery === undefined) return
        this.#run(delivery)
      } catch (error) {
        if (!this.#failing) log.warn({ err: error }, 'webhooks cannot be read from the database; trying again')
        this.#failing = true
        return
      }
    }
  }

  #run(delivery: LeasedDelivery): void {
    const running = this.#deliver(delivery)
      .catch((error: unknown) => {
        // Stopped, or the database is away: the lease runs out and the delivery is attempted again.
        this.#dependencies.log.warn({ err: error, requestId: delivery.requestId }, 'webhook attempt not recorded')
      })
      .finally(() => {
        this.#inFlight.delete(delivery)
        this.wake()
      })
    this.#inFlight.set(delivery, running)
  }

  async #deliver(delivery: LeasedDelivery): Promise<void> {
    const { http, key } = this.#dependencies
    const { firstTimeoutSeconds, laterTimeoutSeconds } = this.#options
    const verdict = await attemptDelivery(delivery, {
      http,
      key,
      timeoutSeconds: delivery.attempt === 1 ? firstTimeoutSeconds : laterTimeoutSeconds,
      signal: this.#abort.signal,
    })
    await this.#record(delivery, verdict)
  }

  async #record(delivery: LeasedDelivery, verdict: Verdict): Promise<void> {
    const { outbox, log } = this.#dependencies
    const { requestId, url, attempt } = delivery
    const { result } = verdict
    const fields = { requestId, host: hostOf(url), attempt, ...result }
    if (verdict.next === 'done') {
      await outbox.delivered(delivery, result)
      log.info(fields, 'webhook delivered')
    } else if (verdict.next === 'give_up' || attempt >= this.#options.maxAttempts) {
      await outbox.failed(delivery, result)
      log.warn(fields, 'webhook given up')
    } else {
      const pause = retryDelaySeconds(attempt, this.#options, Math.random())
      const retryInSeconds = Math.max(pause, verdict.next === 'retry' ? (verdict.retryAfterSeconds ?? 0) : 0)
      await outbox.retry(delivery, result, retryInSeconds)
      log.warn({ ...fields, retryInSeconds }, 'webhook attempt failed')
    }
  }
}

/** The names that stand in a list so often or more. */
function namesOfAtLeast(times: number, names: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].filter(([, count]) => count >= times).map(([name]) => name)
}

/**
 * Pause after attempt `attempt` (from 1): doubling, limited, and spread by ±20 % so that what failed together does not
 * come back together.
 * @param random in [0, 1)
 */
export function retryDelaySeconds(
  attempt: number,
  { baseDelaySeconds, maxDelaySeconds }: Pick<DeliveryOptions, 'baseDelaySeconds' | 'maxDelaySeconds'>,
  random: number,
): number {
  return Math.min(maxDelaySeconds, baseDelaySeconds * 2 ** (attempt - 1)) * (0.8 + 0.4 * random)
}

/** A webhook's path and query often hold a secret; the log names the host alone. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : ''
}
