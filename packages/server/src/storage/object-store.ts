/** What an access rule says of a reader: serve it, refuse it (403), or say there is no such file (404). */
export type AclDecision = 'allow' | 'forbid' | 'hide'

/** Who may read an object. Without one, or without `default`, everyone may who knows its key. */
export interface ObjectAcl {
  readonly default?: AclDecision
  readonly rules?: readonly { readonly user: string; readonly decision: AclDecision }[]
}

export interface ObjectInfo {
  readonly key: string
  readonly size: number
  readonly contentType: string
  /** Opaque, without quotes, made of the content: SHA-256 on disk, the bucket's ETag in S3. */
  readonly etag: string
  readonly createdAt: Date
  /** No expiry when absent. */
  readonly expiresAt?: Date
  readonly acl?: ObjectAcl
  /** Account of whoever stored it; absent where the bucket took it straight from the client. */
  readonly owner?: string
}

export interface PutOptions {
  readonly contentType: string
  readonly expiresAt?: Date
  readonly acl?: ObjectAcl
  readonly owner?: string
}

export interface ByteRange {
  readonly start: number
  /** Inclusive, as in HTTP. An end past the object's last byte means its last byte. */
  readonly end: number
}

export interface UploadedPart {
  readonly partNumber: number
  readonly etag: string
}

export interface StoredEntry {
  readonly key: string
  readonly bytes: number
  readonly storedAt: Date
}

export interface StoredObject {
  readonly info: ObjectInfo
  /** Read it to its end or cancel it: it holds a file or a connection open. */
  readonly body: ReadableStream<Uint8Array>
}

/**
 * Files by key (`files/ab/<random>_<name>`). Writes are atomic: a reader sees the old object, the new one, or none.
 * Keys are segments of letters, digits, `.`, `_` and `-` joined by `/`; see `assertObjectKey`.
 *
 * Every method throws `StorageError`; an error raised by a body stream passes through `put` and `putPart` unchanged,
 * and what had been written of it is gone.
 */
export interface ObjectStore {
  put(key: string, body: Uint8Array | ReadableStream<Uint8Array>, options: PutOptions): Promise<ObjectInfo>
  /** `undefined` when there is none or its time is over. */
  head(key: string): Promise<ObjectInfo | undefined>
  /** @throws StorageError `invalid_range` when the range starts past the end */
  get(key: string, range?: ByteRange): Promise<StoredObject | undefined>
  /**
   * Replaces an object's access rules; `undefined` opens it to all. Its bytes stay as they are.
   * @returns `undefined` when there is no such object
   */
  setAcl(key: string, acl: ObjectAcl | undefined): Promise<ObjectInfo | undefined>
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>

  createMultipart(key: string, options: PutOptions): Promise<string>
  /** A part sent again replaces the earlier one of its number. */
  putPart(key: string, uploadId: string, partNumber: number, body: ReadableStream<Uint8Array>): Promise<UploadedPart>
  /**
   * Parts may come in any order; they are joined by number.
   * @throws StorageError `invalid_upload` when a part is missing or its etag is not the one that was stored
   */
  completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectInfo>
  abortMultipart(key: string, uploadId: string): Promise<void>

  /** A URL that takes a PUT straight to the bucket, or `undefined` where the gateway must take it. */
  presignPut(key: string, options: PutOptions & { expiresInSeconds: number }): Promise<string | undefined>

  /** Every object that is stored, in no order; one that comes or goes meanwhile may be among them or not. */
  entries(): AsyncIterable<StoredEntry>

  /** Removes expired objects and multipart uploads abandoned for a day. */
  sweep(now: Date): Promise<void>
}
