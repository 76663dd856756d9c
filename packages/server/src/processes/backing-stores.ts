import type { Config } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import { openDatabase } from '../db/open-database.ts'
import { type EventPort, LocalEvents } from '../queue/events/local-events.ts'
import type { RequestQueue } from '../queue/request-queue.ts'
import { createRequestQueue } from '../queue/sql-request-queue.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { openObjectStorage } from './object-storage.ts'

/** Where state is kept: what gateway and runner share. */
export interface BackingStores {
  readonly database: Database
  readonly queue: RequestQueue
  readonly objects: ObjectStore
  /** Exchanges wake-ups with a process at the other end of an IPC channel, where the database does not carry them. */
  bridge(port: EventPort): () => void
  close(): Promise<void>
}

/**
 * Opens the database, the queue on it and the object store that the configuration names.
 * @throws DatabaseError or StorageError, in words that say what to do
 */
export async function openBackingStores(config: Config): Promise<BackingStores> {
  const database = await openDatabase({
    dataFolder: config.dataFolder,
    ...(config.databaseUrl !== undefined && { databaseUrl: config.databaseUrl }),
  })
  const storage = await openObjectStorage(config, database).catch(async (error) => {
    await database.close()
    throw error
  })
  const events = database.notifications === undefined ? new LocalEvents() : undefined
  const queue = createRequestQueue(database, events === undefined ? {} : { events })
  return {
    database,
    queue,
    objects: storage.objects,
    bridge: (port) => events?.bridge(port) ?? (() => {}),
    async close() {
      await queue.close()
      await events?.close()
      storage.close()
      await database.close()
    },
  }
}
