/**
 * The durable queue of requests. The request row is the queue: its `state` moves
 *
 *   queued ──claim──▶ running ──complete──▶ completed
 *     ▲                  │
 *     └── runner lost ───┘         queued ──cancel──▶ completed (499)
 *
 * A claim carries the attempt's number. Whoever completes with an older number changes nothing, so a runner
 * that was believed dead can never overwrite the result of the runner that took its place.
 */

/** The account of whoever is of no other, and of everybody where there are no keys. */
export const DEFAULT_ACCOUNT = 'default'

export type RequestState = 'queued' | 'running' | 'completed'
export type Priority = 'normal' | 'low'
export const LOG_LEVELS = ['STDERR', 'STDOUT', 'ERROR', 'INFO', 'WARN', 'DEBUG'] as const
/** Log entries that are read together. */
export const LOGS_AT_ONCE = 1000
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface Submission {
  readonly requestId: string
  /** Full endpoint id, sub-path included: `fal-ai/instantid/lcm`. */
  readonly endpointId: string
  /** The request body as the client sent it: JSON text. Validated by the runner, as fal does. */
  readonly input: string
  readonly priority: Priority
  /** Key that submitted it; `undefined` in no-key mode. */
  readonly keyId?: string
  /** Whose it is: it is seen and changed within the account only. */
  readonly account: string
  /** Origin and prefix under which this client reaches files, e.g. `http://localhost:3010/cdn`. */
  readonly filesUrl: string
  /** Seconds from acceptance until processing must have begun. */
  readonly startTimeoutSeconds?: number
  /** Seconds that one attempt may run. */
  readonly runTimeoutSeconds?: number
  /** False: a lost runner fails the request instead of retrying it. */
  readonly retry: boolean
  readonly webhookUrl?: string
  readonly runnerHint?: string
  /** False: input and output are erased once the result's time is over. */
  readonly storeIo: boolean
  /** Lifecycle of generated files, as the header had it (JSON). */
  readonly objectLifecycle?: string
  /** Refuse when already this many requests of the endpoint would be taken before it. */
  readonly maxQueueLength?: number
}

export interface ClaimToken {
  readonly requestId: string
  readonly attempt: number
}

export interface ClaimedRequest extends Submission, ClaimToken {
  readonly acceptedAt: Date
  /** Milliseconds from the claim within which processing must have begun, where the submitter set a limit. */
  readonly startWithinMs?: number
}

/** A request that waits, seen without being taken. */
export interface UpcomingRequest extends Pick<Submission, 'requestId' | 'endpointId'> {
  /** Absent where it is long. */
  readonly input?: string
}

/** What the request ended with: an HTTP answer, kept as the result call will give it. */
export interface Outcome {
  readonly status: number
  /** JSON text. */
  readonly body: string
  /** Response headers of fal that belong to the result, e.g. `x-fal-billable-units`. */
  readonly headers: Readonly<Record<string, string>>
  /** Set when the gateway, not the model, failed it: `error` and `error_type` of the status. */
  readonly error?: { readonly message: string; readonly type: string }
  readonly inferenceSeconds?: number
}

/** How far a request is: steps done of those that its pictures take together. */
export interface Progress {
  readonly done: number
  readonly total: number
}

export interface LogEntry {
  readonly timestamp: Date
  readonly level: LogLevel
  readonly message: string
  /** Set where the entry tells of a step. */
  readonly progress?: Progress
}

export interface RequestRecord extends Submission {
  readonly state: RequestState
  readonly attempt: number
  readonly acceptedAt: Date
  readonly startedAt?: Date
  readonly completedAt?: Date
  readonly cancelRequested: boolean
  readonly outcome?: Outcome
}

/** A request without its bodies, which may be megabytes: what a status call needs. */
export interface RequestStatus extends Omit<RequestRecord, 'input' | 'outcome'> {
  readonly outcome?: Omit<Outcome, 'body'>
}

/** A request that was answered synchronously. */
export interface AnsweredRun extends Submission {
  /** Bytes of an input that is too long to be kept; `input` is empty then. */
  readonly inputBytes?: number
  readonly acceptedAt: Date
  readonly startedAt?: Date
  readonly completedAt: Date
  readonly outcome: Outcome
}

/** Which requests a listing wants. */
export interface RequestFilter {
  readonly account: string
  readonly endpointId: string
  /** At most so many. */
  readonly limit: number
  /** `next` of the page before. */
  readonly cursor?: string
  readonly requestId?: string
  readonly acceptedFrom?: Date
  readonly acceptedBefore?: Date
  /** By the outcome's HTTP status: 2xx, 4xx, 5xx. */
  readonly result?: 'success' | 'user_error' | 'error'
  /** Absent: as they were accepted, unfinished ones included. Else the latest to end, or the longest to run, come first. */
  readonly order?: ListingOrder
}

/** Orders of finished requests: `ended` by when they ended, `duration` by how long they ran, those that never started left out. */
export type ListingOrder = 'ended' | 'duration'

export interface RequestPage {
  /** In the order asked for; the newest first where none was. */
  readonly requests: readonly RequestStatus[]
  /** For each, the cursor of a page that begins behind it. */
  readonly cursors: readonly string[]
  /** Absent on the last page. */
  readonly next?: string
}

export type PayloadPart = 'input' | 'output'

/** A request's body as it is kept: JSON text. */
export interface StoredPayload {
  /** In UTF-8. */
  readonly bytes: number
  /** False for one that was too large to be recorded. */
  readonly isKept: boolean
  /** Its parts in order, each read when it is asked for. @throws PayloadErased */
  read(): AsyncIterable<string>
}

/** A body was erased while it was read. */
export class PayloadErased extends Error {
  override readonly name = 'PayloadErased'
}

/** Absent is what was erased, and an output that there is not yet. */
export type StoredPayloads = { readonly [part in PayloadPart]?: StoredPayload }

/** Which answered requests are counted. */
export interface UsageFilter {
  readonly account: string
  readonly endpointIds: readonly string[]
  /** Of all keys, and of calls without one, when absent. */
  readonly keyIds?: readonly string[]
  /** By when they ended. */
  readonly from: Date
  readonly before: Date
  /** They are counted by so many milliseconds, from 1970 on. */
  readonly bucketMs: number
}

/** Requests that were answered well in one stretch of time, of one endpoint and key. */
export interface UsageRow {
  /** Where the stretch begins. */
  readonly startedAt: Date
  readonly endpointId: string
  readonly keyId?: string
  readonly requests: number
}

/** How many requests of an endpoint wait and run. */
export interface EndpointLoad {
  readonly endpointId: string
  readonly queued: number
  readonly running: number
}

export interface RunnerAdvertisement {
  readonly runnerId: string
  readonly endpointIds: readonly string[]
  /** Where the gateway opens direct channels: `ws://127.0.0.1:41234`. */
  readonly address: string
  /** Shared secret of the direct channel. */
  readonly channelToken: string
  readonly device: string
  /** `exact`, which it is when absent, or what draws nearly the same faster. */
  readonly precision?: string
  /** Of its machine, or of the container that it is in. */
  readonly memoryBytes: number
  /** What its process held when it last wrote this. */
  readonly residentBytes?: number
  /** Endpoint ids (or hints) whose models are loaded now. */
  readonly warm: readonly string[]
  /** Requests it is working on through direct channels or claims. */
  readonly busy: number
  readonly capacity: number
}

export type CancelAnswer = 'requested' | 'already_completed' | 'not_found'
export type Unsubscribe = () => void

export interface RequestQueue {
  /**
   * Stores the request, fsynced before it resolves.
   * @returns the number of requests ahead of it
   * @throws WireError 429 when `maxQueueLength` is reached
   */
  enqueue(submission: Submission): Promise<number>

  /** Takes the best waiting request (priority, then age; warm endpoints first among equals), or nothing. */
  claim(runnerId: string, endpointIds: readonly string[], warm: readonly string[]): Promise<ClaimedRequest | undefined>

  /** What `claim` would take now, or nothing. Takes and writes nothing, so another runner may have it before. */
  peek(runnerId: string, endpointIds: readonly string[], warm: readonly string[]): Promise<UpcomingRequest | undefined>

  /** A claim not renewed for so long is lost: send three heartbeats in this time. */
  readonly leaseSeconds: number

  /** Renews leases; returns the request ids that should stop: cancelled by the user, or no longer this attempt's. */
  heartbeat(runnerId: string, claims: readonly ClaimToken[]): Promise<readonly string[]>

  appendLogs(claim: ClaimToken, entries: readonly LogEntry[]): Promise<void>

  /**
   * Ends the request and records its webhook in one fsynced transaction.
   * @returns false when this attempt is stale: nothing was changed
   */
  complete(claim: ClaimToken, outcome: Outcome): Promise<boolean>

  /**
   * Ends an attempt with a failure that another attempt may cure (a worker died, a dependency was away): the request
   * is queued again after a back-off, or completed with `outcome` when no attempt is left or retries are off.
   * @returns false when this attempt is stale: nothing was changed
   */
  retry(claim: ClaimToken, outcome: Outcome): Promise<boolean>

  /** Hands a claimed request back (drain): it is queued again at its old place, the attempt not counted as lost. */
  release(claim: ClaimToken): Promise<boolean>

  cancel(requestId: string): Promise<CancelAnswer>
  get(requestId: string): Promise<RequestRecord | undefined>

  /** Like `get`, without the bodies. */
  status(requestId: string): Promise<RequestStatus | undefined>

  /** Requests ahead of a queued one, 0-based: exact up to 10,000, estimated above. */
  position(requestId: string): Promise<number>

  /** Log entries of a request in order, from index `from`, at most `LOGS_AT_ONCE`. */
  logs(requestId: string, from?: number): Promise<readonly LogEntry[]>

  /** Keeps a synchronously answered request for the listings. Not fsynced: nobody was promised it. */
  record(run: AnsweredRun): Promise<void>
  list(filter: RequestFilter): Promise<RequestPage>
  /** Counts requests that ended well, by time, endpoint and key. */
  usage(filter: UsageFilter): Promise<readonly UsageRow[]>
  /** The request of a listing, queued or run. */
  find(requestId: string): Promise<RequestStatus | undefined>
  /** The bodies of a request of a listing. */
  payloads(requestId: string): Promise<StoredPayloads | undefined>
  /** The bodies of requests of a listing, by their ids. */
  payloadsOfEach(requestIds: readonly string[]): Promise<ReadonlyMap<string, StoredPayloads>>
  /** Erases the oldest bodies of finished requests beyond so many bytes. @returns the bytes that are left */
  trimPayloads(budgetBytes: number): Promise<number>
  /** Erases the bodies and logs of a finished request. @returns false when there is none */
  erasePayload(requestId: string): Promise<boolean>
  /** Endpoints with requests that wait or run. */
  load(): Promise<readonly EndpointLoad[]>

  /** Returns leases of lost runners to the queue, fails what ran out of attempts or time. Called every second. */
  reap(): Promise<void>

  /** Erases results, payloads and logs whose retention is over. */
  sweep(): Promise<void>

  /**
   * Runs `listener` whenever the request's state, position or logs may have changed, or its cancellation was asked
   * for. It may run without a change (a safety poll, once a second), which is also how positions move.
   */
  onRequestChange(requestId: string, listener: () => void): Unsubscribe

  /**
   * Runs `listener` whenever a request may have become claimable. Listen first, then claim until nothing is left:
   * the other way round misses what is accepted in between.
   */
  onWork(listener: () => void): Unsubscribe

  /** Runs `listener` when the outbox may hold a new webhook. May miss one: who delivers also looks by itself. */
  onWebhook(listener: () => void): Unsubscribe

  advertise(runner: RunnerAdvertisement): Promise<void>
  /**
   * Takes a runner off the list. What it still holds counts as lost and returns to the queue at once: called by a
   * runner that has drained, and by the supervisor of one that died, which spares waiting for its leases to end.
   */
  withdraw(runnerId: string): Promise<void>
  /** Runners heard of within the lease time. */
  runners(): Promise<readonly RunnerAdvertisement[]>

  /** Stops listening and timers. The database stays open. */
  close(): Promise<void>
}
