import { join } from 'node:path'
import type { Database } from './database.ts'
import { DatabaseError } from './database-error.ts'
import { openLibsqlDatabase } from './libsql-database.ts'
import { openPostgresDatabase } from './postgres-database.ts'

export interface DatabaseConfig {
  /** Folder of the embedded database, `darkroom.db` in it. */
  readonly dataFolder: string
  /** `postgres://user:password@host:port/name`: use that server instead. */
  readonly databaseUrl?: string
}

/**
 * Opens the database that the configuration names, its tables brought up to date.
 * @throws DatabaseError when it cannot be opened
 */
export async function openDatabase(config: DatabaseConfig): Promise<Database> {
  const { dataFolder, databaseUrl } = config
  if (databaseUrl === undefined) return openLibsqlDatabase(join(dataFolder, 'darkroom.db'))
  if (/^postgres(ql)?:\/\//.test(databaseUrl)) return openPostgresDatabase(databaseUrl)
  const scheme = databaseUrl.split(':', 1)[0]
  throw new DatabaseError(
    'other',
    `DATABASE_URL: expected postgres://user:password@host:port/name, got a URL of the scheme ${scheme}.`,
  )
}
