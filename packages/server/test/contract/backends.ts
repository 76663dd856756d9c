import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely } from 'kysely'
import pg from 'pg'
import type { Database, Notifications } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { type DatabaseConfig, openDatabase } from '../../src/db/open-database.ts'
import { PostgresDatabase } from '../../src/db/postgres-database.ts'
import type { Schema } from '../../src/db/tables.ts'
import { pgliteDialect } from './pglite-dialect.ts'

/** A fresh database. */
export interface Opened {
  readonly database: Database
  close(): Promise<void>
}

/** Where a database can be made, by any number of processes at once. */
export interface Place {
  readonly config: DatabaseConfig
  clear(): Promise<void>
}

export interface Backend {
  readonly name: string
  open(): Promise<Opened>
  /** Absent where only this process can open it. */
  readonly prepare?: () => Promise<Place>
}

const POSTGRES_URL = process.env.DARKROOM_TEST_POSTGRES_URL

/** Every database the server runs on; PostgreSQL where DARKROOM_TEST_POSTGRES_URL names a server to make schemas on. */
export const BACKENDS: readonly Backend[] = [
  { name: 'libsql', open: () => openAt(prepareFolder), prepare: prepareFolder },
  { name: 'PGlite', open: openPglite },
  ...(POSTGRES_URL === undefined ? [] : [postgresAt(POSTGRES_URL)]),
]

function postgresAt(url: string): Backend {
  const prepare = () => prepareSchema(url)
  return { name: 'PostgreSQL', open: () => openAt(prepare), prepare }
}

async function openAt(prepare: () => Promise<Place>): Promise<Opened> {
  const place = await prepare()
  const database = await openDatabase(place.config)
  return {
    database,
    async close() {
      await database.close()
      await place.clear()
    },
  }
}

async function prepareFolder(): Promise<Place> {
  const dataFolder = mkdtempSync(join(tmpdir(), 'darkroom-'))
  return { config: { dataFolder }, clear: async () => rmSync(dataFolder, { recursive: true }) }
}

/** A schema of its own on the server, so that runs beside each other do not meet. */
async function prepareSchema(url: string): Promise<Place> {
  const schema = `test_${randomUUID().replaceAll('-', '')}`
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(`create schema ${schema}`)
  const own = new URL(url)
  own.searchParams.set('options', `-c search_path=${schema}`)
  own.searchParams.set('application_name', schema)
  return {
    config: { dataFolder: tmpdir(), databaseUrl: own.href },
    async clear() {
      await admin.query(`drop schema ${schema} cascade`)
      await admin.end()
    },
  }
}

/** PostgreSQL in this process: its first start takes seconds and hundreds of megabytes, so open it once per file. */
async function openPglite(): Promise<Opened> {
  const pglite = await PGlite.create()
  const query = new Kysely<Schema>({ dialect: pgliteDialect(pglite) })
  await migrate(query, 'postgres')
  const close = async () => {
    await query.destroy()
    await pglite.close()
  }
  const database = new PostgresDatabase({
    name: 'PGlite',
    queries: { synced: query, relaxed: query },
    notifications: pgliteNotifications(pglite),
    close,
  })
  return { database, close }
}

function pgliteNotifications(pglite: PGlite): Notifications {
  return {
    async notify(channel, payloads) {
      for (const payload of payloads) await pglite.query('select pg_notify($1, $2)', [channel, payload])
    },
    async listen(channel, onPayload) {
      const stop = await pglite.listen(channel, onPayload)
      return () => void stop()
    },
  }
}

/** Empties every table. */
export async function clear(database: Database): Promise<void> {
  const tables = [
    'requests',
    'payloads',
    'payload_contents',
    'payload_pieces',
    'logs',
    'runners',
    'webhook_deliveries',
    'api_keys',
    'settings',
  ] as const
  await database.atomically('relaxed', async (query) => {
    for (const table of tables) await query.deleteFrom(table).execute()
  })
}
