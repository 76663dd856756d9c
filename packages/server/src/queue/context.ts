import type { SqlClock } from '../db/clock.ts'
import type { Database } from '../db/database.ts'
import type { QueueEvents } from './events/queue-events.ts'
import type { ResolvedOptions } from './options.ts'
import type { ParallelTurns } from './parallel-turns.ts'

/** What every statement of the queue works with. */
export interface QueueContext {
  readonly database: Database
  readonly events: QueueEvents
  readonly options: ResolvedOptions
  readonly now: SqlClock
  readonly parallelTurns: ParallelTurns
}
