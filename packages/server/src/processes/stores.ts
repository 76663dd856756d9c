import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import { openDatabase } from '../db/open-database.ts'
import { storedSetting } from '../db/stored-setting.ts'
import { type EventPort, LocalEvents } from '../queue/events/local-events.ts'
import type { RequestQueue } from '../queue/request-queue.ts'
import { createRequestQueue } from '../queue/sql-request-queue.ts'
import { DiskObjectStore } from '../storage/disk-object-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { StorageError } from '../storage/storage-error.ts'

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
  const { maxRecordedCharacters } = config.storage
  const queue = createRequestQueue(database, { maxRecordedCharacters, ...(events !== undefined && { events }) })
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

export interface ObjectStorage {
  readonly objects: ObjectStore
  close(): void
}

const FOLDER_SETTING = 'objects-folder'
/** Beside the objects and not among them: their sweep removes what it does not know. */
const FOLDER_MARK = 'objects-folder-id'

/**
 * The bucket that the configuration names, or files in the data folder.
 * @throws StorageError when the bucket does not answer, or the data folder is not the one of the database's files
 */
export async function openObjectStorage(config: Config, database: Database): Promise<ObjectStorage> {
  if (config.s3 !== undefined) return openBucket(config.s3)
  // A libsql database lies in the same data folder; PostgreSQL may be shared by machines that share no folder.
  if (config.databaseUrl !== undefined) await requireSameFolder(config.dataFolder, database)
  return { objects: new DiskObjectStore(join(config.dataFolder, 'objects')), close() {} }
}

async function openBucket({ bucket, region, endpoint, accessKeyId, secretAccessKey }: NonNullable<Config['s3']>) {
  // Loaded where it is used: the SDK is a fifth of a runner's start, and a runner that died starts often.
  const { S3ObjectStore } = await import('../storage/s3-object-store.ts')
  const credentials =
    accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey }
  const objects = new S3ObjectStore({ bucket, region, endpoint, credentials })
  try {
    // Told now and not by the first picture: a wrong key, bucket or address. A HEAD would not tell a missing bucket.
    await objects.get('start/check')
  } catch (error) {
    objects.close()
    throw error
  }
  return { objects, close: () => objects.close() }
}

/**
 * Files that one process writes must be found by the others: the data folder carries a mark, and the database remembers it.
 */
async function requireSameFolder(folder: string, database: Database): Promise<void> {
  const mark = await folderMark(folder)
  if ((await storedSetting(database, FOLDER_SETTING, () => mark)) === mark) return
  throw new StorageError(
    'unavailable',
    `The files of this database are in another data folder than ${folder}: gateways and runners on several machines need a ` +
      `bucket (S3_BUCKET), those of one machine the same --data. If that folder is gone for good, delete the row ` +
      `${FOLDER_SETTING} of the table settings.`,
  )
}

/** The folder's mark, made by the first process that comes; the link appears with its content or not at all. */
async function folderMark(folder: string): Promise<string> {
  const path = join(folder, FOLDER_MARK)
  const there = await readFile(path, 'utf8').catch(() => undefined)
  if (there !== undefined) return there
  const own = `${path}.${randomUUID()}`
  await mkdir(folder, { recursive: true })
  await writeFile(own, randomUUID(), { flush: true })
  try {
    await link(own, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await unlink(own)
  }
  return readFile(path, 'utf8')
}

/** Where state is kept, for a person to read; without passwords. */
export function storeNames({ databaseUrl, s3, dataFolder }: Config): string {
  const url = databaseUrl === undefined ? undefined : new URL(databaseUrl)
  const database = url === undefined ? `embedded, in ${dataFolder}` : `${url.host}${url.pathname}`
  const files = s3 === undefined ? `in ${dataFolder}` : `bucket ${s3.bucket}${s3.endpoint ? ` at ${s3.endpoint}` : ''}`
  return `  database  ${database}\n  files     ${files}`
}
