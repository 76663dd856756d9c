import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { QueueEvents } from './events/queue-events.ts'
import type { ResolvedOptions } from './options.ts'

/** What every statement of the queue works with. */
export interface QueueContext {
  readonly database: Database
  readonly events: QueueEvents
  readonly options: ResolvedOptions
  /** The present, as an SQL expression in milliseconds since 1970. */
  now(): RawBuilder<number>
}

/**
 * `statement_timestamp` rather than `clock_timestamp`: the latter may change within a statement, so an index cannot be
 * searched by it.
 */
export function clockOf(database: Database, now: (() => Date) | undefined): () => RawBuilder<number> {
  if (now === undefined && database.capabilities.ownClock)
    return () => sql<number>`(extract(epoch from statement_timestamp()) * 1000)::bigint`
  const present = now ?? (() => new Date())
  return () => bigint(present().getTime())
}

/** A whole number as a parameter whose type PostgreSQL need not guess: in a `case` it would guess text. */
export function bigint(value: number): RawBuilder<number> {
  return sql<number>`cast(${Math.round(value)} as bigint)`
}
