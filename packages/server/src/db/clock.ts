import { type RawBuilder, sql } from 'kysely'
import type { Database } from './database.ts'

/** The present, as an SQL expression in milliseconds since 1970. */
export type SqlClock = () => RawBuilder<number>

/**
 * The clock that every process of a database agrees on: PostgreSQL's own where machines share it, so that a lease means the same to
 * all of them; the process's on one machine. `statement_timestamp` rather than `clock_timestamp`: the latter may change within a
 * statement, so an index cannot be searched by it.
 * @param now replaces it in tests
 */
export function clockOf(database: Database, now?: () => Date): SqlClock {
  if (now === undefined && database.capabilities.ownClock)
    return () => sql<number>`(extract(epoch from statement_timestamp()) * 1000)::bigint`
  const present = now ?? (() => new Date())
  return () => bigint(present().getTime())
}

/** A whole number as a parameter whose type PostgreSQL need not guess: in a `case` it would guess text. */
export function bigint(value: number): RawBuilder<number> {
  return sql<number>`cast(${Math.round(value)} as bigint)`
}
