import { mkdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Kysely } from 'kysely'
import Libsql from 'libsql'
import type { Database, Durability, Query } from './database.ts'
import { DatabaseError, type DatabaseFailure, databaseError } from './database-error.ts'
import { LibsqlDialect } from './libsql-dialect.ts'
import { migrate } from './migrate.ts'
import type { Schema } from './tables.ts'
import { WalCheckpoints } from './wal-checkpoints.ts'
import { writeLockOf } from './write-lock.ts'

export interface LibsqlOptions {
  /** How long a writer waits for another process's transaction. */
  readonly busyTimeoutMs?: number
}

/**
 * Opens (and creates) a database file for any number of processes of one machine.
 *
 * Three connections: one that fsyncs each commit (`synchronous=full`), one that leaves it to the next such commit or
 * checkpoint (`normal`), one that only reads and so never waits for a writer (WAL).
 *
 * @throws DatabaseError when the file cannot be opened, is no database, or comes from a newer version
 */
export async function openLibsqlDatabase(file: string, options: LibsqlOptions = {}): Promise<Database> {
  const path = absolute(file)
  const busyTimeoutMs = options.busyTimeoutMs ?? 5000
  const opened: Kysely<Schema>[] = []
  const connect = (pragmas: readonly string[]): { readonly connection: Libsql.Database; readonly query: Query } => {
    const connection = openConnection(path, busyTimeoutMs, pragmas)
    const query = new Kysely<Schema>({ dialect: new LibsqlDialect(connection) })
    opened.push(query)
    return { connection, query }
  }
  const walCheckpoints = new WalCheckpoints(path)
  const close = async () => {
    await walCheckpoints.close()
    await Promise.all(opened.map((query) => query.destroy()))
  }
  const writeLock = writeLockOf(path)
  try {
    // fullfsync matters on macOS only, where fsync alone leaves data in the drive's cache.
    const synced = connect(['synchronous = full', 'fullfsync = on'])
    await writeLock.run(() => migrate(synced.query, 'sqlite'))
    const relaxed = connect(['synchronous = normal'])
    // From here on a writer that meets another process's waits beside the event loop (`#whenFree`), not in SQLite, which would hold it up.
    for (const { connection } of [synced, relaxed]) connection.pragma('busy_timeout = 0')
    const connections = {
      writers: { synced: synced.query, relaxed: relaxed.query },
      reader: connect(['query_only = on']).query,
    }
    return new LibsqlDatabase({ path, busyTimeoutMs, ...connections, walCheckpoints, close })
  } catch (error) {
    await close()
    throw databaseError(error, path, failureOf)
  }
}

interface LibsqlParts {
  readonly path: string
  readonly busyTimeoutMs: number
  readonly writers: Readonly<Record<Durability, Query>>
  readonly reader: Query
  readonly walCheckpoints: WalCheckpoints
  readonly close: () => Promise<void>
}

/** Milliseconds, some fsyncs, after which a writer that waits looks again at the latest. */
const LONGEST_PAUSE = 16

class LibsqlDatabase implements Database {
  readonly capabilities = {
    dialect: 'sqlite',
    rowLocks: false,
    lateralJoins: false,
    writingWith: false,
    ownClock: false,
  } as const
  readonly #parts: LibsqlParts

  constructor(parts: LibsqlParts) {
    this.#parts = parts
  }

  read<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.#named(() => work(this.#parts.reader))
  }

  async execute<T>(durability: Durability, work: (query: Query) => Promise<T>): Promise<T> {
    const { path, writers, walCheckpoints } = this.#parts
    const write = () => this.#whenFree(() => work(writers[durability]))
    const result = await this.#named(() => writeLockOf(path).run(write))
    walCheckpoints.countWrite()
    return result
  }

  atomically<T>(durability: Durability, work: (query: Query) => Promise<T>): Promise<T> {
    return this.execute(durability, (query) => query.transaction().execute(work))
  }

  close(): Promise<void> {
    return writeLockOf(this.#parts.path).run(this.#parts.close)
  }

  /** Begins a write again while another process writes: SQLite refuses it before anything of it is done. */
  async #whenFree<T>(write: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.#parts.busyTimeoutMs
    for (let milliseconds = 1; ; milliseconds = Math.min(2 * milliseconds, LONGEST_PAUSE)) {
      try {
        return await write()
      } catch (error) {
        if (!isBusy(error) || performance.now() > until) throw error
        await pause(milliseconds)
      }
    }
  }

  async #named<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw databaseError(error, this.#parts.path, failureOf)
    }
  }
}

/** Pages of the log, 32 MiB, from where a commit checkpoints by itself: the thread that should is behind or gone. */
const LONGEST_LOG = 8192

function openConnection(path: string, timeout: number, pragmas: readonly string[]): Libsql.Database {
  const connection = new Libsql(path)
  connection.pragma(`busy_timeout = ${timeout}`)
  connection.pragma('journal_mode = wal')
  connection.pragma(`wal_autocheckpoint = ${LONGEST_LOG}`)
  for (const pragma of pragmas) connection.pragma(pragma)
  return connection
}

/** The path that is the same for everyone who opens the file, symlinked folders resolved. */
function absolute(file: string): string {
  const folder = dirname(resolve(file))
  try {
    mkdirSync(folder, { recursive: true })
    return join(realpathSync(folder), basename(file))
  } catch (error) {
    throw new DatabaseError('readonly', `Cannot create the folder of the database, ${folder}.`, error)
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}

function failureOf(code: string): DatabaseFailure {
  if (code.startsWith('SQLITE_CONSTRAINT')) return 'constraint'
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'unavailable'
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN')) return 'readonly'
  if (code.startsWith('SQLITE_FULL') || code.startsWith('SQLITE_IOERR')) return 'full'
  return code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB' ? 'corrupt' : 'other'
}
