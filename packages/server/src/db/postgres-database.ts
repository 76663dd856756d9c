import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Database, Durability, Notifications, Query } from './database.ts'
import { type DatabaseFailure, databaseError } from './database-error.ts'
import { migrate } from './migrate.ts'
import { PostgresNotifications } from './postgres-notifications.ts'
import type { Schema } from './tables.ts'

export interface PostgresOptions {
  /** Connections for writes that must be fsynced and for reads; half as many more are for the others. */
  readonly poolSize?: number
}

/**
 * Connects to a PostgreSQL server (15 or newer is tested) and brings its tables up to date.
 *
 * Two pools: accepting and completing requests, and reads, on connections that fsync each commit; claims, heartbeats
 * and logs on connections with `synchronous_commit = off`, which saves the wait for the disk (a claim and a commit
 * that both wait cost 8 ms on a slow one, against 4) and may lose them in a power cut.
 *
 * @throws DatabaseError when the server cannot be reached or a migration fails
 */
export async function openPostgresDatabase(url: string, options: PostgresOptions = {}): Promise<Database> {
  const size = options.poolSize ?? 10
  // A server configured for asynchronous commits is overruled; one that waits for a standby as well keeps doing so.
  const synced = poolOf(
    url,
    size,
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
  )
  const relaxed = poolOf(url, Math.ceil(size / 2), 'set synchronous_commit = off')
  const queries = { synced: queryOn(synced), relaxed: queryOn(relaxed) }
  const notifications = new PostgresNotifications(url, relaxed)
  const close = async () => {
    await notifications.close()
    await Promise.all([queries.synced.destroy(), queries.relaxed.destroy()])
  }
  const database = new PostgresDatabase({ name: withoutPassword(url), queries, notifications, close })
  try {
    await migrate(queries.synced, 'postgres')
    return database
  } catch (error) {
    await close()
    throw databaseError(error, withoutPassword(url), failureOf, codeOf)
  }
}

/** The connections of a database that lets many write at once, and how they are closed. */
export interface PostgresConnections {
  /** Names the server in errors, without the password. */
  readonly name: string
  readonly queries: Readonly<Record<Durability, Query>>
  readonly notifications: Notifications
  close(): Promise<void>
}

/** The PostgreSQL side of Database, on whatever speaks its SQL. */
export class PostgresDatabase implements Database {
  readonly capabilities = {
    dialect: 'postgres',
    rowLocks: true,
    lateralJoins: true,
    writingWith: true,
    ownClock: true,
  } as const
  readonly #connections: PostgresConnections

  constructor(connections: PostgresConnections) {
    this.#connections = connections
  }

  get notifications(): Notifications {
    return this.#connections.notifications
  }

  read<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.execute('synced', work)
  }

  async execute<T>(durability: Durability, work: (query: Query) => Promise<T>): Promise<T> {
    try {
      return await work(this.#connections.queries[durability])
    } catch (error) {
      throw databaseError(error, this.#connections.name, failureOf, codeOf)
    }
  }

  atomically<T>(durability: Durability, work: (query: Query) => Promise<T>): Promise<T> {
    return this.execute(durability, (query) => query.transaction().execute(work))
  }

  close(): Promise<void> {
    return this.#connections.close()
  }
}

function poolOf(url: string, size: number, onConnect: string): pg.Pool {
  const types = new pg.TypeOverrides()
  // bigint arrives as text by default; times in milliseconds and counts stay far below 2^53.
  types.setTypeParser(pg.types.builtins.INT8, Number)
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    types,
    connectionTimeoutMillis: 5000,
    // A server that went away without closing the connection would otherwise be waited for without end.
    query_timeout: 30_000,
    keepAlive: true,
    onConnect: async (client) => {
      // A connection that breaks between two statements of a transaction belongs to nobody who would hear of it, and
      // an 'error' without a listener ends the process. The next statement fails and says so.
      client.on('error', () => undefined)
      await client.query(onConnect)
    },
  })
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', () => undefined)
  return pool
}

function queryOn(pool: pg.Pool): Query {
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return 'PostgreSQL'
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** By SQLSTATE class (PostgreSQL manual, appendix A) or the socket's error. */
function failureOf(code: string): DatabaseFailure {
  if (code.startsWith('23')) return 'constraint'
  if (code === '53100') return 'full'
  if (code === '25006') return 'readonly'
  if (code.startsWith('XX')) return 'corrupt'
  return /^(08|53|57|40|E[A-Z]+$)/.test(code) ? 'unavailable' : 'other'
}

/** What pg says, without a code, of a server that does not answer or hung up. */
const NO_ANSWER =
  /^(Query read timeout|timeout (exceeded|expired)|Connection terminated|Client (was closed|has encountered))/

function codeOf(message: string): string | undefined {
  return NO_ANSWER.test(message) ? 'ETIMEDOUT' : undefined
}
