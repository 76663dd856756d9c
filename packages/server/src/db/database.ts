import type { Kysely } from 'kysely'
import type { Schema } from './tables.ts'

/** Builds and runs statements; the same in every dialect. */
export type Query = Kysely<Schema>

/**
 * What a write promises once it has resolved.
 *
 * `synced`: it survives a power cut (fsynced). For accepting and completing requests.
 * `relaxed`: it survives a crash of this process, and may be lost, whole, in a power cut. For claims, heartbeats and
 * logs: a lost claim is only claimed again. Spares an fsync, 0.1 ms to 10 ms depending on the disk.
 */
export type Durability = 'synced' | 'relaxed'

export type SqlDialect = 'sqlite' | 'postgres'

/** How the dialects differ, for the few statements that must know. */
export interface Capabilities {
  readonly dialect: SqlDialect
  /**
   * Several writers work at once, and `for update skip locked` passes rows that another holds.
   * False: there is one writer at a time, so rows need no locks.
   */
  readonly rowLocks: boolean
  /** A subquery may refer to the rows beside it, so one plan serves any number of endpoints. */
  readonly lateralJoins: boolean
  /** One statement may write several tables (`with … as (insert …)`), which spares round trips. */
  readonly writingWith: boolean
  /**
   * Processes on several machines share the database, so time is read from its clock.
   * False: everything runs on one machine and the process's clock serves.
   */
  readonly ownClock: boolean
}

/** Messages between the processes that share a database. Not stored: who is not listening misses them. */
export interface Notifications {
  /** Sends `payloads` (at most 7,900 bytes each) to every listener of the channel, this process's included. */
  notify(channel: string, payloads: readonly string[]): Promise<void>
  /**
   * Resolves with what ends it, once it listens. A lost connection is replaced by itself; what was sent meanwhile is
   * missed.
   */
  listen(channel: string, onPayload: (payload: string) => void): Promise<() => void>
}

/** Where state is kept. Nothing above it mentions a connection or a transaction. Every method throws `DatabaseError`. */
export interface Database {
  readonly capabilities: Capabilities
  /** Absent where only processes of one machine, bound by other means, share the database. */
  readonly notifications?: Notifications
  /** Runs statements that only read. */
  read<T>(work: (query: Query) => Promise<T>): Promise<T>
  /** Runs `work`, which issues exactly one statement: atomic by itself, and cheaper than `atomically`. */
  execute<T>(durability: Durability, work: (query: Query) => Promise<T>): Promise<T>
  /**
   * Runs the statements of `work`, all or none. `work` awaits nothing but its statements, and short pauses for
   * others between large ones: on SQLite it holds the file's only write lock.
   */
  atomically<T>(durability: Durability, work: (query: Query) => Promise<T>): Promise<T>
  close(): Promise<void>
}
