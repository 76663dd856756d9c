import type { QueueEvents } from './events/queue-events.ts'

export interface RequestQueueOptions {
  /** How the processes that share the queue wake each other; by default what the database offers. */
  readonly events?: QueueEvents
  /** A runner that has not sent a heartbeat for so long is lost. Runners send one a second, at least three in this time. */
  readonly leaseSeconds?: number
  /** Attempts that may be lost with their runner before the request is given up. */
  readonly maxLosses?: number
  /** Delay of the first retry; doubles with each loss, up to `maxBackoffSeconds`. */
  readonly backoffSeconds?: number
  readonly maxBackoffSeconds?: number
  /** How much older a request counts at a runner that has its model loaded, among requests of equal priority. */
  readonly warmAdvantageSeconds?: number
  /** How long a runner leaves a fresh request to another, idle one that has its model loaded. */
  readonly warmGraceSeconds?: number
  /** Life of a result whose submitter asked not to store input and output. */
  readonly resultRetentionSeconds?: number
  /** Life of all other results, with their input and logs. */
  readonly payloadRetentionSeconds?: number
  /** Largest body, in characters, that is recorded of a run that was answered synchronously. */
  readonly maxRecordedCharacters?: number
  /** Interval of the safety poll, which only matters when an event was lost. */
  readonly safetyPollSeconds?: number
  /** The clock. By default the database's own where several machines share it, else this process's. */
  readonly now?: () => Date
}

export type ResolvedOptions = Required<Omit<RequestQueueOptions, 'events' | 'now'>>

const DEFAULT_OPTIONS: ResolvedOptions = {
  // Enough for a few late heartbeats, and a request of a runner that died is running again within 10 s.
  leaseSeconds: 6,
  maxLosses: 10,
  backoffSeconds: 0.5,
  maxBackoffSeconds: 30,
  warmAdvantageSeconds: 10,
  warmGraceSeconds: 0.1,
  resultRetentionSeconds: 3600,
  payloadRetentionSeconds: 30 * 24 * 3600,
  maxRecordedCharacters: 1024 * 1024,
  safetyPollSeconds: 1,
}

/** Fills in what is absent. @throws RangeError for a number that is no positive one */
export function resolveOptions(options: RequestQueueOptions): ResolvedOptions {
  const { events: _events, now: _now, ...given } = options
  const resolved = { ...DEFAULT_OPTIONS, ...given }
  for (const [name, value] of Object.entries(resolved))
    if (!(value >= 0)) throw new RangeError(`Queue option ${name}: expected a number from 0 up, got ${value}.`)
  return resolved
}
