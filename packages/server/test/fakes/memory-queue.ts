import type {
  CancelAnswer,
  ClaimedRequest,
  ClaimToken,
  LogEntry,
  Outcome,
  RequestRecord,
  RunnerAdvertisement,
  Submission,
  Unsubscribe,
} from '../../src/queue/request-queue.ts'
import type { RunnerQueue } from '../../src/runner/runner-queue.ts'

interface Row extends Submission {
  state: 'queued' | 'running' | 'completed'
  attempt: number
  acceptedAt: Date
  cancelRequested: boolean
  outcome?: Outcome
  runnerId?: string
  lease: number
  readonly logs: LogEntry[]
}

/** What a runner needs of the queue, in memory, for tests of what stands on it. `failing` makes every call reject, as a lost database does. */
export class MemoryQueue implements RunnerQueue {
  readonly rows = new Map<string, Row>()
  readonly advertisements = new Map<string, RunnerAdvertisement>()
  readonly leaseMs: number
  retries = 0
  failing = false
  claims = 0
  #work = new Set<() => void>()
  #changes = new Set<{ requestId: string; listener: () => void }>()

  constructor(leaseMs = 1_000) {
    this.leaseMs = leaseMs
  }

  async enqueue(submission: Submission): Promise<number> {
    this.#check()
    const ahead = this.#queued().length
    this.rows.set(submission.requestId, {
      ...submission,
      state: 'queued',
      attempt: 0,
      acceptedAt: new Date(),
      cancelRequested: false,
      lease: 0,
      logs: [],
    })
    this.#notifyWork()
    return ahead
  }

  get leaseSeconds(): number {
    return this.leaseMs / 1000
  }

  async claim(runnerId: string, endpointIds: readonly string[]): Promise<ClaimedRequest | undefined> {
    this.#check()
    this.claims += 1
    const row = this.#queued().find((queued) => endpointIds.includes(queued.endpointId))
    if (row === undefined) return undefined
    Object.assign(row, { state: 'running', runnerId, attempt: row.attempt + 1, lease: Date.now() + this.leaseMs })
    return { ...row }
  }

  async heartbeat(_runnerId: string, claims: readonly ClaimToken[]): Promise<readonly string[]> {
    this.#check()
    return claims.flatMap((claim) => {
      const row = this.#current(claim)
      if (row === undefined) return [claim.requestId]
      row.lease = Date.now() + this.leaseMs
      return row.cancelRequested ? [claim.requestId] : []
    })
  }

  async appendLogs(claim: ClaimToken, entries: readonly LogEntry[]): Promise<void> {
    this.#check()
    this.#current(claim)?.logs.push(...entries)
    this.#changed(claim.requestId)
  }

  async complete(claim: ClaimToken, outcome: Outcome): Promise<boolean> {
    this.#check()
    const row = this.#current(claim)
    if (row === undefined) return false
    Object.assign(row, { state: 'completed', outcome })
    this.#changed(claim.requestId)
    return true
  }

  async retry(claim: ClaimToken, _outcome: Outcome): Promise<boolean> {
    this.#check()
    const row = this.#current(claim)
    if (row === undefined) return false
    this.retries += 1
    row.state = 'queued'
    // The next attempt may be claimed before this call has returned. Only once: there is no back-off here.
    if (this.retries === 1) this.#notifyWork()
    await new Promise((resolve) => setTimeout(resolve, 1))
    return true
  }

  async release(claim: ClaimToken): Promise<boolean> {
    this.#check()
    const row = this.#current(claim)
    if (row === undefined) return false
    Object.assign(row, { state: 'queued', attempt: row.attempt - 1 })
    this.#notifyWork()
    return true
  }

  /** Sync runs are recorded for the list of requests, which is not what these tests are about. */
  async record(): Promise<void> {}

  async cancel(requestId: string): Promise<CancelAnswer> {
    const row = this.rows.get(requestId)
    if (row === undefined) return 'not_found'
    row.cancelRequested = true
    return row.state === 'completed' ? 'already_completed' : 'requested'
  }

  async get(requestId: string): Promise<RequestRecord | undefined> {
    return this.rows.get(requestId)
  }

  async logs(requestId: string, from = 0): Promise<readonly LogEntry[]> {
    return this.rows.get(requestId)?.logs.slice(from) ?? []
  }

  async reap(): Promise<void> {
    for (const row of this.rows.values()) {
      if (row.state === 'running' && row.lease < Date.now()) row.state = 'queued'
    }
    this.#notifyWork()
  }

  onRequestChange(requestId: string, listener: () => void): Unsubscribe {
    const entry = { requestId, listener }
    this.#changes.add(entry)
    return () => this.#changes.delete(entry)
  }

  onWork(listener: () => void): Unsubscribe {
    this.#work.add(listener)
    return () => this.#work.delete(listener)
  }

  async advertise(runner: RunnerAdvertisement): Promise<void> {
    this.#check()
    this.advertisements.set(runner.runnerId, runner)
  }

  async withdraw(runnerId: string): Promise<void> {
    this.advertisements.delete(runnerId)
  }

  async runners(): Promise<readonly RunnerAdvertisement[]> {
    this.#check()
    return [...this.advertisements.values()]
  }

  /** Resolves with the request's outcome when it is completed. */
  async outcome(requestId: string): Promise<Outcome> {
    const row = this.rows.get(requestId)
    if (row?.outcome !== undefined) return row.outcome
    await new Promise<void>((resolve) => {
      const unsubscribe = this.onRequestChange(requestId, () => {
        if (this.rows.get(requestId)?.state !== 'completed') return
        unsubscribe()
        resolve()
      })
    })
    return await this.outcome(requestId)
  }

  #queued(): Row[] {
    return [...this.rows.values()].filter((row) => row.state === 'queued')
  }

  #current(claim: ClaimToken): Row | undefined {
    const row = this.rows.get(claim.requestId)
    return row?.state === 'running' && row.attempt === claim.attempt ? row : undefined
  }

  #check(): void {
    if (this.failing) throw new Error('the database is away')
  }

  #notifyWork(): void {
    for (const listener of this.#work) listener()
  }

  #changed(requestId: string): void {
    for (const entry of this.#changes) if (entry.requestId === requestId) entry.listener()
  }
}

/** A submission with everything but the id, endpoint and input at its plainest. */
export function submission(requestId: string, endpointId: string, input: unknown): Submission {
  return {
    requestId,
    endpointId,
    input: typeof input === 'string' ? input : JSON.stringify(input),
    priority: 'normal',
    filesUrl: 'http://files.test/cdn',
    retry: true,
    storeIo: true,
  }
}
