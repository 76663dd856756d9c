import { clockOf } from '../db/clock.ts'
import type { Database } from '../db/database.ts'
import type { QueueContext } from './context.ts'
import { DatabaseEvents } from './events/database-events.ts'
import { LocalEvents } from './events/local-events.ts'
import type { QueueEvents } from './events/queue-events.ts'
import { Listeners } from './listeners.ts'
import { type RequestQueueOptions, resolveOptions } from './options.ts'
import { OutageGrace } from './outage-grace.ts'
import { ParallelTurns } from './parallel-turns.ts'
import type {
  AnsweredRun,
  CancelAnswer,
  ClaimedRequest,
  ClaimToken,
  EndpointLoad,
  LogEntry,
  Outcome,
  RequestFilter,
  RequestPage,
  RequestQueue,
  RequestRecord,
  RequestStatus,
  RunnerAdvertisement,
  StoredPayloads,
  Submission,
  Unsubscribe,
  UpcomingRequest,
  UsageFilter,
  UsageRow,
} from './request-queue.ts'
import { RunRecorder } from './run-recorder.ts'
import { ServedAccounts } from './served-accounts.ts'
import { type ClaimOffer, claim, peek } from './statements/claim.ts'
import { enqueue } from './statements/enqueue.ts'
import { cancel, complete } from './statements/finish.ts'
import { release, retry } from './statements/give-back.ts'
import { erasePayload, list, record, usage } from './statements/listing.ts'
import { appendLogs, logs } from './statements/logs.ts'
import { payloads, payloadsOfEach, trimPayloads } from './statements/payloads.ts'
import { get, load, position, status } from './statements/read.ts'
import { advertise, heartbeat, runners, withdraw } from './statements/runners.ts'
import { reap, sweep } from './statements/upkeep.ts'
import { WarmRunners } from './warm-runners.ts'

/**
 * The queue on a database. Close it before the database.
 * @throws RangeError for a negative option
 */
export function createRequestQueue(database: Database, options: RequestQueueOptions = {}): RequestQueue {
  const events = options.events ?? eventsOf(database)
  const context: QueueContext = {
    database,
    events,
    options: resolveOptions(options),
    now: clockOf(database, options.now),
    parallelTurns: new ParallelTurns(),
  }
  // A test's clock may jump as it likes.
  const outageGrace = options.now === undefined ? new OutageGrace(context.options.leaseSeconds) : undefined
  return new SqlRequestQueue(context, outageGrace, options.events === undefined)
}

function eventsOf(database: Database): QueueEvents {
  return database.notifications === undefined ? new LocalEvents() : new DatabaseEvents(database.notifications)
}

class SqlRequestQueue implements RequestQueue {
  readonly #context: QueueContext
  readonly #ownsEvents: boolean
  readonly #listeners = new Listeners()
  readonly #recorder: RunRecorder
  readonly #outageGrace: OutageGrace | undefined
  readonly #warmRunners: WarmRunners
  readonly #served = new ServedAccounts()
  readonly #unsubscribe: Unsubscribe
  readonly #timers = new Set<NodeJS.Timeout>()
  #safetyPoll: NodeJS.Timeout | undefined

  constructor(context: QueueContext, outageGrace: OutageGrace | undefined, ownsEvents: boolean) {
    this.#context = context
    this.#outageGrace = outageGrace
    this.#ownsEvents = ownsEvents
    this.#recorder = new RunRecorder((runs) => record(context, runs))
    this.#warmRunners = new WarmRunners(() => this.runners())
    this.#unsubscribe = context.events.subscribe((event) => this.#listeners.deliver(event))
  }

  get leaseSeconds(): number {
    return this.#context.options.leaseSeconds
  }

  enqueue(submission: Submission): Promise<number> {
    return enqueue(this.#context, submission)
  }

  async claim(
    runnerId: string,
    endpointIds: readonly string[],
    warm: readonly string[],
  ): Promise<ClaimedRequest | undefined> {
    const offer = await this.#offer(runnerId, endpointIds, warm)
    const claimed = await claim(this.#context, offer)
    // What was left to another runner is offered again once that runner had its chance.
    if (claimed === undefined && offer.deferred.size > 0) this.#offerAgain()
    return claimed
  }

  async peek(
    runnerId: string,
    endpointIds: readonly string[],
    warm: readonly string[],
  ): Promise<UpcomingRequest | undefined> {
    return peek(this.#context, await this.#offer(runnerId, endpointIds, warm))
  }

  async #offer(runnerId: string, endpointIds: readonly string[], warm: readonly string[]): Promise<ClaimOffer> {
    const deferred = await this.#warmRunners.deferred(runnerId, endpointIds, warm)
    return { runnerId, endpointIds, warm, deferred, served: this.#served }
  }

  heartbeat(runnerId: string, claims: readonly ClaimToken[]): Promise<readonly string[]> {
    return heartbeat(this.#context, runnerId, claims)
  }

  appendLogs(token: ClaimToken, entries: readonly LogEntry[]): Promise<void> {
    return appendLogs(this.#context, token, entries)
  }

  complete(token: ClaimToken, outcome: Outcome): Promise<boolean> {
    return complete(this.#context, token, outcome)
  }

  retry(token: ClaimToken, outcome: Outcome): Promise<boolean> {
    return retry(this.#context, token, outcome)
  }

  release(token: ClaimToken): Promise<boolean> {
    return release(this.#context, token)
  }

  cancel(requestId: string): Promise<CancelAnswer> {
    return cancel(this.#context, requestId)
  }

  get(requestId: string): Promise<RequestRecord | undefined> {
    return get(this.#context, requestId)
  }

  status(requestId: string): Promise<RequestStatus | undefined> {
    return status(this.#context, requestId)
  }

  position(requestId: string): Promise<number> {
    return position(this.#context, requestId)
  }

  logs(requestId: string, from = 0): Promise<readonly LogEntry[]> {
    return logs(this.#context, requestId, from)
  }

  record(run: AnsweredRun): Promise<void> {
    return this.#recorder.record(run)
  }

  async list(filter: RequestFilter): Promise<RequestPage> {
    await this.#recorder.flush()
    return list(this.#context, filter)
  }

  async usage(filter: UsageFilter): Promise<readonly UsageRow[]> {
    await this.#recorder.flush()
    return usage(this.#context, filter)
  }

  async find(requestId: string): Promise<RequestStatus | undefined> {
    await this.#recorder.flush()
    return status(this.#context, requestId, ['queue', 'run'])
  }

  async payloads(requestId: string): Promise<StoredPayloads | undefined> {
    await this.#recorder.flush()
    return payloads(this.#context, requestId)
  }

  async payloadsOfEach(requestIds: readonly string[]): Promise<ReadonlyMap<string, StoredPayloads>> {
    await this.#recorder.flush()
    return payloadsOfEach(this.#context, requestIds)
  }

  trimPayloads(budgetBytes: number): Promise<number> {
    return trimPayloads(this.#context, budgetBytes)
  }

  async erasePayload(requestId: string): Promise<boolean> {
    await this.#recorder.flush()
    return erasePayload(this.#context, requestId)
  }

  load(): Promise<readonly EndpointLoad[]> {
    return load(this.#context)
  }

  reap(): Promise<void> {
    return reap(this.#context, () => this.#outageGrace?.leasesHold() ?? false)
  }

  sweep(): Promise<void> {
    return sweep(this.#context)
  }

  onRequestChange(requestId: string, listener: () => void): Unsubscribe {
    this.#startSafetyPoll()
    return this.#listeners.onRequest(requestId, listener)
  }

  onWork(listener: () => void): Unsubscribe {
    this.#startSafetyPoll()
    return this.#listeners.onWork(listener)
  }

  onWebhook(listener: () => void): Unsubscribe {
    return this.#listeners.onWebhook(listener)
  }

  advertise(runner: RunnerAdvertisement): Promise<void> {
    return advertise(this.#context, runner)
  }

  withdraw(runnerId: string): Promise<void> {
    return withdraw(this.#context, runnerId)
  }

  runners(): Promise<readonly RunnerAdvertisement[]> {
    return runners(this.#context)
  }

  async close(): Promise<void> {
    await this.#recorder.flush()
    clearInterval(this.#safetyPoll)
    for (const timer of this.#timers) clearTimeout(timer)
    this.#listeners.clear()
    this.#unsubscribe()
    if (this.#ownsEvents) await this.#context.events.close()
  }

  #startSafetyPoll(): void {
    this.#safetyPoll ??= setInterval(
      () => this.#listeners.callEveryone(),
      this.#context.options.safetyPollSeconds * 1000,
    ).unref()
  }

  #offerAgain(): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        this.#listeners.callWork()
      },
      this.#context.options.warmGraceSeconds * 1000 + 1,
    ).unref()
    this.#timers.add(timer)
  }
}
