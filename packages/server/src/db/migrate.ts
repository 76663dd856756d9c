import { type Kysely, Migrator, sql } from 'kysely'
import type { SqlDialect } from './database.ts'
import { DatabaseError } from './database-error.ts'
import { initialMigration } from './migrations/0001-initial.ts'
import { listingOrdersMigration } from './migrations/0002-listing-orders.ts'
import { accountsMigration } from './migrations/0003-accounts.ts'
import { payloadPiecesMigration } from './migrations/0004-payload-pieces.ts'
import { webhookHostsMigration } from './migrations/0005-webhook-hosts.ts'
import { queueTurnsMigration } from './migrations/0006-queue-turns.ts'
import { webhookLinesMigration } from './migrations/0007-webhook-lines.ts'
import type { Schema } from './tables.ts'

/**
 * Brings the tables up to date. Any number of processes may do it at once: the first migrates, the others wait and
 * then find nothing to do.
 *
 * @throws DatabaseError when a migration fails or the database was written by a newer version
 */
export async function migrate(query: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  const migrator = new Migrator({
    db: query,
    provider: {
      getMigrations: async () => ({
        '0001-initial': initialMigration(dialect),
        '0002-listing-orders': listingOrdersMigration,
        '0003-accounts': accountsMigration,
        '0004-payload-pieces': payloadPiecesMigration(dialect),
        '0005-webhook-hosts': webhookHostsMigration,
        '0006-queue-turns': queueTurnsMigration,
        '0007-webhook-lines': webhookLinesMigration,
      }),
    },
    // Names of our own, and the schema said: the migrator takes a table of this name in any schema for its own.
    migrationTableName: 'darkroom_migrations',
    migrationLockTableName: 'darkroom_migrations_lock',
    ...(dialect === 'postgres' && { migrationTableSchema: await currentSchema(query) }),
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return
  const failed = results?.find((result) => result.status === 'Error')?.migrationName
  const reason = error instanceof Error ? error.message : String(error)
  if (/^corrupted migrations: previously executed migration \S+ is missing/.test(reason)) {
    throw new DatabaseError(
      'other',
      'The database was written by a newer version of Darkroom: start that version, or restore a backup that is older than it.',
      error,
    )
  }
  throw new DatabaseError(
    'other',
    `Cannot bring the tables up to date (${failed ?? 'before the first'}): ${reason}.`,
    error,
  )
}

async function currentSchema(query: Kysely<Schema>): Promise<string> {
  const { rows } = await sql<{ schema: string | null }>`select current_schema() as schema`.execute(query)
  const schema = rows[0]?.schema
  if (typeof schema === 'string') return schema
  throw new DatabaseError('other', 'PostgreSQL: no schema of the search_path exists; create one or change search_path.')
}
