import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { assertObjectKey } from './object-key.ts'
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
import { assertPartNumber, orderParts } from './part-list.ts'
import { isNotFound, s3Failure } from './s3-failure.ts'
import { expiryMarker, isExpired, objectMetadata, toObjectInfo } from './s3-metadata.ts'
import { readWhole, splitStream } from './split-stream.ts'
import { StorageError } from './storage-error.ts'
import { sweepBucket } from './sweep-s3.ts'

export interface S3Options {
  readonly bucket: string
  readonly region: string
  /** Absent: Amazon's own endpoint of the region. Any other is addressed by path (`<endpoint>/<bucket>/<key>`). */
  readonly endpoint?: string | undefined
  /** Absent: the SDK's own search (environment, profile, instance role). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  /** Put before every key, to share a bucket: `darkroom/`. */
  readonly prefix?: string
  /**
   * Sends clients straight to the bucket with their uploads. The bucket then needs a CORS rule for browsers, and no
   * size limit holds.
   */
  readonly directUploads?: boolean
}

/** Where keys of files are, apart from the markers of their expiry. */
const FILES_FOLDER = 'files/'
/** Memory per upload is two of these; S3 takes no smaller part but the last. */
const PART_BYTES = 8 * 1024 * 1024

/** Objects in a bucket of Amazon S3 or a server that speaks its protocol. */
export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #prefix: string
  readonly #directUploads: boolean

  constructor(options: S3Options) {
    const { bucket, region, endpoint, credentials } = options
    this.#bucket = bucket
    this.#prefix = options.prefix ?? ''
    this.#directUploads = options.directUploads ?? false
    this.#client = new S3Client({
      region,
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      ...(credentials !== undefined && { credentials }),
      // The default wraps bodies in aws-chunked with a CRC32, which servers other than Amazon's refuse or store as it is.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: 5000 },
    })
  }

  async put(key: string, body: Uint8Array | ReadableStream<Uint8Array>, options: PutOptions): Promise<ObjectInfo> {
    assertObjectKey(key)
    if (body instanceof Uint8Array) return this.#putWhole(key, body, options)
    const parts = splitStream(body, PART_BYTES)
    const first = await parts.next()
    if (first.done) return this.#putWhole(key, new Uint8Array(), options)
    const second = await parts.next()
    if (second.done) return this.#putWhole(key, first.value, options)
    return this.#putParts(key, chain([first.value, second.value], parts), options)
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    assertObjectKey(key)
    try {
      const output = await this.#call(() => this.#client.send(new HeadObjectCommand(this.#at(key))))
      const info = toObjectInfo(key, output, output.ContentLength ?? 0)
      return isExpired(info) ? undefined : info
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    assertObjectKey(key)
    if (range !== undefined && range.end < range.start) {
      throw new StorageError(
        'invalid_range',
        `bytes ${range.start}-${range.end} of ${key}: the end is before the start`,
      )
    }
    try {
      const header = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end}` }
      const output = await this.#call(() => this.#client.send(new GetObjectCommand({ ...this.#at(key), ...header })))
      const size = Number(output.ContentRange?.split('/')[1] ?? output.ContentLength ?? 0)
      const info = toObjectInfo(key, output, size)
      const body: ReadableStream<Uint8Array> = output.Body?.transformToWebStream() ?? new Blob([]).stream()
      if (!isExpired(info)) return { info, body }
      await body.cancel()
      return undefined
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  /** S3 changes no metadata in place: the object is copied onto itself, in the bucket, if it is still the one that was read. */
  async setAcl(key: string, acl: ObjectAcl | undefined): Promise<ObjectInfo | undefined> {
    const info = await this.head(key)
    if (info === undefined) return undefined
    const { acl: _, ...rest } = info
    const { Bucket, Key } = this.#at(key)
    const input: CopyObjectCommandInput = {
      Bucket,
      Key,
      CopySource: `${Bucket}/${Key}`,
      CopySourceIfMatch: `"${info.etag}"`,
      MetadataDirective: 'REPLACE',
      ContentType: info.contentType,
      Metadata: objectMetadata(acl === undefined ? rest : { ...rest, acl }),
    }
    try {
      await this.#call(() => this.#client.send(new CopyObjectCommand(input)))
    } catch (error) {
      // Deleted since: so says `head` below.
      if (!isNotFound(error)) throw error
    }
    return this.head(key)
  }

  async delete(key: string): Promise<void> {
    assertObjectKey(key)
    await this.#call(() => this.#client.send(new DeleteObjectCommand(this.#at(key))))
  }

  async createMultipart(key: string, options: PutOptions): Promise<string> {
    assertObjectKey(key)
    await this.#markExpiry(key, options)
    const input = { ...this.#at(key), ContentType: options.contentType, Metadata: objectMetadata(options) }
    const { UploadId } = await this.#call(() => this.#client.send(new CreateMultipartUploadCommand(input)))
    if (UploadId === undefined) throw new StorageError('unavailable', 'the S3 server gave a multipart upload no id')
    return UploadId
  }

  /** Holds the part in memory: S3 wants its length and hash before its bytes. */
  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    body: ReadableStream<Uint8Array>,
  ): Promise<UploadedPart> {
    assertObjectKey(key)
    assertPartNumber(partNumber)
    return this.#uploadPart(key, uploadId, partNumber, await readWhole(body))
  }

  async completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectInfo> {
    assertObjectKey(key)
    const Parts = orderParts(parts).map(({ partNumber, etag }) => ({ PartNumber: partNumber, ETag: `"${etag}"` }))
    const input = { ...this.#at(key), UploadId: uploadId, MultipartUpload: { Parts } }
    await this.#call(() => this.#client.send(new CompleteMultipartUploadCommand(input)))
    const info = await this.head(key)
    if (info === undefined) throw new StorageError('upload_not_found', `${key} expired while it was uploaded`)
    return info
  }

  async abortMultipart(key: string, uploadId: string): Promise<void> {
    assertObjectKey(key)
    const input = { ...this.#at(key), UploadId: uploadId }
    await this.#call(() => this.#client.send(new AbortMultipartUploadCommand(input)))
  }

  /** Files with an expiry or access rules go through the gateway: their metadata is not for the client to send. */
  async presignPut(key: string, options: PutOptions & { expiresInSeconds: number }): Promise<string | undefined> {
    assertObjectKey(key)
    if (!this.#directUploads || options.expiresAt !== undefined || options.acl !== undefined) return undefined
    const command = new PutObjectCommand({ ...this.#at(key), ContentType: options.contentType })
    return this.#call(() =>
      getSignedUrl(this.#client, command, {
        expiresIn: options.expiresInSeconds,
        signableHeaders: new Set(['host', 'content-type']),
      }),
    )
  }

  async *entries(): AsyncGenerator<StoredEntry> {
    const folder = { Bucket: this.#bucket, Prefix: `${this.#prefix}${FILES_FOLDER}` }
    let page = await this.#call(() => this.#client.send(new ListObjectsV2Command(folder)))
    for (;;) {
      for (const { Key, Size, LastModified } of page.Contents ?? [])
        if (Key !== undefined)
          yield { key: Key.slice(this.#prefix.length), bytes: Size ?? 0, storedAt: LastModified ?? new Date(0) }
      const { NextContinuationToken: ContinuationToken } = page
      if (ContinuationToken === undefined) return
      page = await this.#call(() => this.#client.send(new ListObjectsV2Command({ ...folder, ContinuationToken })))
    }
  }

  async sweep(now: Date): Promise<void> {
    await this.#call(() => sweepBucket(this.#client, { bucket: this.#bucket, prefix: this.#prefix }, now))
  }

  /** Closes the client's connections. */
  close(): void {
    this.#client.destroy()
  }

  async #putWhole(key: string, bytes: Uint8Array, options: PutOptions): Promise<ObjectInfo> {
    await this.#markExpiry(key, options)
    const { contentType } = options
    const input = { ...this.#at(key), Body: bytes, ContentType: contentType, Metadata: objectMetadata(options) }
    const output = await this.#call(() => this.#client.send(new PutObjectCommand(input)))
    return toObjectInfo(key, { ...input, ETag: output.ETag, LastModified: new Date() }, bytes.byteLength)
  }

  async #putParts(key: string, chunks: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectInfo> {
    const uploadId = await this.createMultipart(key, options)
    try {
      const parts: UploadedPart[] = []
      for await (const chunk of chunks) parts.push(await this.#uploadPart(key, uploadId, parts.length + 1, chunk))
      return await this.completeMultipart(key, uploadId, parts)
    } catch (error) {
      // The first error is the one to tell of; an upload that could not be aborted is swept.
      await this.abortMultipart(key, uploadId).catch(() => undefined)
      throw error
    }
  }

  async #uploadPart(key: string, uploadId: string, partNumber: number, bytes: Uint8Array): Promise<UploadedPart> {
    const input = { ...this.#at(key), UploadId: uploadId, PartNumber: partNumber, Body: bytes }
    const { ETag } = await this.#call(() => this.#client.send(new UploadPartCommand(input)))
    return { partNumber, etag: ETag?.replaceAll('"', '') ?? '' }
  }

  /** Written first: a marker without an object is swept away, an object without its marker would stay. */
  async #markExpiry(key: string, { expiresAt }: PutOptions): Promise<void> {
    if (expiresAt === undefined) return
    const Key = `${this.#prefix}${expiryMarker(key, expiresAt)}`
    const input = { Bucket: this.#bucket, Key, Body: new Uint8Array() }
    await this.#call(() => this.#client.send(new PutObjectCommand(input)))
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` }
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw s3Failure(error, this.#bucket)
    }
  }
}

async function* chain(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first
  yield* rest
}
