import { type Kysely, Migrator } from 'kysely'
import { DatabaseError } from './database-error.ts'
import { initialMigration } from './migrations/0001-initial.ts'
import type { Schema } from './schema.ts'

/**
 * Brings the tables up to date. Any number of processes may do it at once: the first migrates, the others wait and
 * then find nothing to do.
 *
 * @throws DatabaseError when a migration fails or the database was written by a newer version
 */
export async function migrate(query: Kysely<Schema>, engine: 'sqlite' | 'postgres'): Promise<void> {
  const migrator = new Migrator({
    db: query,
    provider: { getMigrations: async () => ({ '0001-initial': initialMigration(engine) }) },
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return
  const failed = results?.find((result) => result.status === 'Error')?.migrationName
  const reason = error instanceof Error ? error.message : String(error)
  throw new DatabaseError(
    'other',
    `Cannot bring the tables up to date (${failed ?? 'before the first'}): ${reason}.`,
    error,
  )
}
