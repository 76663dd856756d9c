import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessLog } from '../log/process-log.ts'
import type { ClaimToken, Outcome } from '../queue/request-queue.ts'
import type { RunnerQueue } from './runner-queue.ts'

const FIRST_RETRY_MILLISECONDS = 100
const LONGEST_RETRY_MILLISECONDS = 5_000

/** One claimed request that this runner answers for: from the claim until its completion is stored. */
interface HeldClaim extends ClaimToken {
  /** Told once when the queue wants the work stopped. */
  readonly stop: () => void
}

/** The claims a runner holds: keeps their leases, carries cancels to them, and gives them up exactly once. */
export class Claims {
  readonly #queue: RunnerQueue
  readonly #runnerId: string
  readonly #log: ProcessLog
  readonly #held = new Map<string, HeldClaim>()
  readonly #timer: NodeJS.Timeout
  #beating = false
  #onEmpty: (() => void)[] = []

  constructor(queue: RunnerQueue, runnerId: string, heartbeatMs: number, log: ProcessLog) {
    this.#queue = queue
    this.#runnerId = runnerId
    this.#log = log
    this.#timer = setInterval(() => void this.#heartbeat(), heartbeatMs)
  }

  hold(claim: ClaimToken, stop: () => void): void {
    this.#held.set(claim.requestId, { requestId: claim.requestId, attempt: claim.attempt, stop })
  }

  /** Whether the claim is still this runner's to complete. */
  holds(claim: ClaimToken): boolean {
    return this.#held.get(claim.requestId)?.attempt === claim.attempt
  }

  /**
   * Stores the outcome, or queues the request again where another attempt may succeed; trying again while the database is
   * away: the lease goes on being renewed meanwhile. Given up when the claim was released or the runner closes.
   */
  async complete(claim: ClaimToken, outcome: Outcome, retryable: boolean): Promise<void> {
    for (
      let delay = FIRST_RETRY_MILLISECONDS;
      this.holds(claim);
      delay = Math.min(delay * 2, LONGEST_RETRY_MILLISECONDS)
    ) {
      try {
        const current = retryable ? await this.#queue.retry(claim, outcome) : await this.#queue.complete(claim, outcome)
        if (!current) this.#log.warn({ ...claim }, 'a result came too late: the request is another attempt’s')
        this.#drop(claim)
      } catch (err) {
        this.#log.error({ ...claim, err }, 'storing a result failed, trying again')
        await sleep(delay)
      }
    }
  }

  /** Hands everything back that is still held, so another runner starts it at once. */
  async releaseAll(): Promise<void> {
    const claims = [...this.#held.values()]
    // Dropped first: a result that comes now must not race with the release for which of the two the queue believes.
    for (const claim of claims) this.#drop(claim)
    await Promise.all(
      claims.map(async ({ requestId, attempt }) => {
        try {
          await this.#queue.release({ requestId, attempt })
        } catch (err) {
          this.#log.error({ requestId, err }, 'handing a request back failed; its lease will run out')
        }
      }),
    )
  }

  /** Resolves when nothing is held. */
  async empty(): Promise<void> {
    if (this.#held.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve))
  }

  close(): void {
    clearInterval(this.#timer)
    for (const claim of [...this.#held.values()]) this.#drop(claim)
  }

  #drop(claim: ClaimToken): void {
    // The same request may be held again by now, as its next attempt.
    if (this.holds(claim)) this.#held.delete(claim.requestId)
    if (this.#held.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve()
  }

  async #heartbeat(): Promise<void> {
    // A database slower than the interval must not be asked twice at a time.
    if (this.#held.size === 0 || this.#beating) return
    this.#beating = true
    try {
      const tokens = [...this.#held.values()].map(({ requestId, attempt }) => ({ requestId, attempt }))
      const stopped = new Set(await this.#queue.heartbeat(this.#runnerId, tokens))
      for (const token of tokens) {
        if (stopped.has(token.requestId) && this.holds(token)) this.#held.get(token.requestId)?.stop()
      }
    } catch (err) {
      this.#log.error({ err }, 'a heartbeat failed')
    } finally {
      this.#beating = false
    }
  }
}
