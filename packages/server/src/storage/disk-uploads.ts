import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing, isOlder, makeFolder, namesIn, removeFile, writeFileFrom } from './disk-file.ts'
import { newVersion } from './disk-layout.ts'
import type { PutOptions, UploadedPart } from './object-store.ts'
import { ABANDONED_UPLOAD_SECONDS, assertPartNumber, orderParts } from './part-list.ts'
import { StorageError } from './storage-error.ts'

const UPLOAD_ID = /^[0-9a-f]{32}$/
const PART_FILE = /^part-(\d+)-([0-9a-f]{64})$/

/** Multipart uploads on disk: a folder each, with a file per part whose name carries its number and SHA-256. */
export class DiskUploads {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async create(key: string, options: PutOptions): Promise<string> {
    const uploadId = randomBytes(16).toString('hex')
    await makeFolder(this.#folder(uploadId))
    await writeFile(join(this.#folder(uploadId), 'upload.json'), JSON.stringify({ key, options }), { flush: true })
    return uploadId
  }

  /** What the upload was created with. @throws StorageError `upload_not_found` when it is not one of this key's */
  async options(key: string, uploadId: string): Promise<PutOptions> {
    try {
      const file = await readFile(join(this.#folder(uploadId), 'upload.json'), 'utf8')
      const upload: { key: string; options: PutOptions & { expiresAt?: string } } = JSON.parse(file)
      if (upload.key !== key) throw notFound(uploadId)
      const { expiresAt, ...options } = upload.options
      return expiresAt === undefined ? options : { ...options, expiresAt: new Date(expiresAt) }
    } catch (error) {
      throw isMissing(error) ? notFound(uploadId) : error
    }
  }

  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    body: ReadableStream<Uint8Array>,
  ): Promise<UploadedPart> {
    assertPartNumber(partNumber)
    await this.options(key, uploadId)
    const folder = this.#folder(uploadId)
    const temporary = join(folder, `new-${partNumber}-${newVersion()}`)
    try {
      // Not fsynced: a power loss ends the upload, and the client starts it again.
      const { sha256: etag } = await writeFileFrom(temporary, body, { sync: false })
      const replaced = (await this.#parts(uploadId)).filter((part) => part.partNumber === partNumber)
      await rename(temporary, join(folder, partFile({ partNumber, etag })))
      for (const part of replaced) {
        if (part.etag !== etag) await removeFile(join(folder, partFile(part)))
      }
      return { partNumber, etag }
    } catch (error) {
      await removeFile(temporary)
      throw error
    }
  }

  /** The parts' bytes in the order of their numbers. @throws StorageError `invalid_upload` before the first byte */
  async join(uploadId: string, parts: readonly UploadedPart[]): Promise<AsyncIterable<Uint8Array>> {
    const ordered = orderParts(parts)
    const stored = await this.#parts(uploadId)
    for (const { partNumber, etag } of ordered) {
      // Several where two uploads of one part ended at once, and neither saw the other's.
      const etags = stored.filter((part) => part.partNumber === partNumber).map((part) => part.etag)
      if (etags.length === 0) throw new StorageError('invalid_upload', `part ${partNumber} was not uploaded`)
      if (!etags.includes(etag)) {
        throw new StorageError('invalid_upload', `part ${partNumber}: expected etag ${etags.join(' or ')}, got ${etag}`)
      }
    }
    return concatenate(ordered.map((part) => join(this.#folder(uploadId), partFile(part))))
  }

  async remove(uploadId: string): Promise<void> {
    await rm(this.#folder(uploadId), { recursive: true, force: true })
  }

  async sweep(now: Date): Promise<void> {
    const oldest = now.getTime() - ABANDONED_UPLOAD_SECONDS * 1000
    for (const uploadId of await namesIn(this.#root)) {
      if (UPLOAD_ID.test(uploadId) && (await isOlder(join(this.#root, uploadId), oldest))) await this.remove(uploadId)
    }
  }

  async #parts(uploadId: string): Promise<UploadedPart[]> {
    return (await namesIn(this.#folder(uploadId))).flatMap((name) => {
      const [, partNumber, etag] = PART_FILE.exec(name) ?? []
      return partNumber === undefined || etag === undefined ? [] : [{ partNumber: Number(partNumber), etag }]
    })
  }

  #folder(uploadId: string): string {
    if (!UPLOAD_ID.test(uploadId)) throw notFound(uploadId)
    return join(this.#root, uploadId)
  }
}

function partFile({ partNumber, etag }: UploadedPart): string {
  return `part-${partNumber}-${etag}`
}

function notFound(uploadId: string): StorageError {
  const shown = JSON.stringify(uploadId.slice(0, 64))
  return new StorageError(
    'upload_not_found',
    `no multipart upload ${shown} for this file: it is complete, aborted or over`,
  )
}

async function* concatenate(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) yield* createReadStream(path, { highWaterMark: 256 * 1024 })
}
