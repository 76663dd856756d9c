import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { diskEntries } from './disk-entries.ts'
import { DiskExpiry } from './disk-expiry.ts'
import { diskFailure, isMissing, makeFolder, removeFile, streamFile, syncFolder, writeFileFrom } from './disk-file.ts'
import { type DiskMetadata, newVersion, objectPaths, parseMetadata } from './disk-layout.ts'
import { DiskUploads } from './disk-uploads.ts'
import type {
  ByteRange,
  ObjectAcl,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredEntry,
  StoredObject,
  UploadedPart,
} from './object-store.ts'
import { StorageError } from './storage-error.ts'
import { sweepObjects } from './sweep-disk.ts'

const READ_ATTEMPTS = 5
const WALK_SECONDS = 24 * 3600

/**
 * Objects as files below `folder`, on one machine. Bytes go to a file of their own, fsynced; renaming the metadata that
 * names it is the commit. A crash in between leaves a file that nothing names, which `sweep` removes after an hour.
 */
export class DiskObjectStore implements ObjectStore {
  readonly #root: string
  readonly #uploads: DiskUploads
  readonly #expiry: DiskExpiry
  readonly #commits = new Map<string, Promise<void>>()
  #lastWalk = Number.NEGATIVE_INFINITY

  constructor(folder: string) {
    this.#root = resolve(folder)
    this.#uploads = new DiskUploads(join(this.#root, 'uploads'))
    this.#expiry = new DiskExpiry(join(this.#root, 'expiry'))
  }

  async put(key: string, body: Uint8Array | ReadableStream<Uint8Array>, options: PutOptions): Promise<ObjectInfo> {
    return this.#guard(() => this.#write(key, body instanceof Uint8Array ? one(body) : body, options))
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return this.#guard(async () => {
      const metadata = await this.#current(key)
      return metadata === undefined ? undefined : publicInfo(metadata)
    })
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    return this.#guard(async () => {
      const opened = await this.#open(key)
      if (opened === undefined) return undefined
      const { metadata, file } = opened
      const info = publicInfo(metadata)
      const last = info.size - 1
      if (range !== undefined && (range.start > last || range.end < range.start)) {
        await file.close()
        throw new StorageError(
          'invalid_range',
          `bytes ${range.start}-${range.end} of ${key}: it has ${info.size} bytes`,
        )
      }
      const span =
        range === undefined ? { start: 0, end: last } : { start: range.start, end: Math.min(range.end, last) }
      if (info.size > 0) return { info, body: streamFile(file, span) }
      await file.close()
      return { info, body: new ReadableStream({ start: (controller) => controller.close() }) }
    })
  }

  async setAcl(key: string, acl: ObjectAcl | undefined): Promise<ObjectInfo | undefined> {
    return this.#guard(() =>
      this.#alone(key, async () => {
        const current = await this.#current(key)
        if (current === undefined) return undefined
        const { acl: _, ...rest } = current
        const changed = acl === undefined ? rest : { ...rest, acl }
        await this.#commit(key, newVersion(), changed)
        return publicInfo(changed)
      }),
    )
  }

  async delete(key: string): Promise<void> {
    // A change of the ACL that had read the metadata before would write it again, naming a file that is gone.
    return this.#guard(() =>
      this.#alone(key, async () => {
        const paths = objectPaths(this.#root, key)
        const metadata = await this.#metadata(key)
        if (metadata === undefined) return
        await removeFile(join(paths.folder, paths.metadata))
        await removeFile(join(paths.folder, metadata.blob))
      }),
    )
  }

  async createMultipart(key: string, options: PutOptions): Promise<string> {
    objectPaths(this.#root, key)
    return this.#guard(() => this.#uploads.create(key, options))
  }

  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    body: ReadableStream<Uint8Array>,
  ): Promise<UploadedPart> {
    return this.#guard(() => this.#uploads.putPart(key, uploadId, partNumber, body))
  }

  async completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectInfo> {
    return this.#guard(async () => {
      const options = await this.#uploads.options(key, uploadId)
      const info = await this.#write(key, await this.#uploads.join(uploadId, parts), options)
      await this.#uploads.remove(uploadId)
      return info
    })
  }

  async abortMultipart(key: string, uploadId: string): Promise<void> {
    return this.#guard(async () => {
      await this.#uploads.options(key, uploadId)
      await this.#uploads.remove(uploadId)
    })
  }

  async presignPut(): Promise<undefined> {
    return undefined
  }

  async *entries(): AsyncGenerator<StoredEntry> {
    yield* diskEntries(join(this.#root, 'objects'))
  }

  /** What has expired is listed by hour; what a crash left takes a walk over all files, made once a day. */
  async sweep(now: Date): Promise<void> {
    return this.#guard(async () => {
      await this.#expiry.sweep(now, (key) => this.#removeExpired(key, now))
      await this.#uploads.sweep(now)
      if (now.getTime() - this.#lastWalk < WALK_SECONDS * 1000) return
      this.#lastWalk = now.getTime()
      await sweepObjects(join(this.#root, 'objects'), now)
    })
  }

  /** @returns when the object expires, where it has not yet */
  async #removeExpired(key: string, now: Date): Promise<Date | undefined> {
    const expiresAt = (await this.#metadata(key))?.expiresAt
    if (expiresAt !== undefined && expiresAt > now) return expiresAt
    if (expiresAt !== undefined) await this.delete(key)
    return undefined
  }

  async #write(key: string, chunks: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectInfo> {
    const paths = objectPaths(this.#root, key)
    await makeFolder(paths.folder)
    const version = newVersion()
    const blob = paths.blob(version)
    try {
      const { size, sha256 } = await writeFileFrom(join(paths.folder, blob), chunks)
      const { contentType, expiresAt, acl, owner } = options
      const info: ObjectInfo = {
        key,
        size,
        contentType,
        etag: sha256,
        createdAt: new Date(),
        ...(expiresAt !== undefined && { expiresAt }),
        ...(acl !== undefined && { acl }),
        ...(owner !== undefined && { owner }),
      }
      if (expiresAt !== undefined) await this.#expiry.mark(key, version, expiresAt)
      await this.#alone(key, async () => {
        const replaced = await this.#metadata(key)
        await this.#commit(key, version, { ...info, blob })
        if (replaced !== undefined) await removeFile(join(paths.folder, replaced.blob))
      })
      return info
    } catch (error) {
      await removeFile(join(paths.folder, blob))
      throw error
    }
  }

  async #commit(key: string, version: string, metadata: DiskMetadata): Promise<void> {
    const paths = objectPaths(this.#root, key)
    const temporary = join(paths.folder, `${paths.metadata}${version}.new`)
    try {
      await writeFile(temporary, JSON.stringify(metadata), { flag: 'wx', flush: true })
      await rename(temporary, join(paths.folder, paths.metadata))
    } catch (error) {
      await removeFile(temporary)
      throw error
    }
    await syncFolder(paths.folder)
  }

  /** Commits of one key one at a time: one that read the metadata before another's commit would bring the old file's name back. */
  async #alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#commits.get(key)
    const mine = (async () => {
      await before
      return work()
    })()
    const settled = mine.then(
      () => {},
      () => {},
    )
    this.#commits.set(key, settled)
    try {
      return await mine
    } finally {
      if (this.#commits.get(key) === settled) this.#commits.delete(key)
    }
  }

  async #metadata(key: string): Promise<DiskMetadata | undefined> {
    const paths = objectPaths(this.#root, key)
    try {
      return parseMetadata(await readFile(join(paths.folder, paths.metadata), 'utf8'))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async #current(key: string): Promise<DiskMetadata | undefined> {
    const metadata = await this.#metadata(key)
    const expired = metadata?.expiresAt !== undefined && metadata.expiresAt.getTime() <= Date.now()
    return expired ? undefined : metadata
  }

  /** Opens the bytes that the metadata names; an overwrite in between has removed them, so the metadata is read again. */
  async #open(key: string): Promise<{ metadata: DiskMetadata; file: FileHandle } | undefined> {
    const paths = objectPaths(this.#root, key)
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const metadata = await this.#current(key)
      if (metadata === undefined) return undefined
      try {
        return { metadata, file: await open(join(paths.folder, metadata.blob), 'r') }
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    }
    return undefined
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw diskFailure(error, this.#root)
    }
  }
}

function publicInfo({ blob: _, ...info }: DiskMetadata): ObjectInfo {
  return info
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
