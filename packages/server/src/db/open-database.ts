import { join } from 'node:path'
import type { Database } from './database.ts'
import { openLibsqlDatabase } from './libsql-database.ts'

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
  return openLibsqlDatabase(join(config.dataFolder, 'darkroom.db'))
}
