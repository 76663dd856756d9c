export interface ObjectInfo {
  readonly key: string
  readonly size: number
  readonly contentType: string
  readonly etag: string
  readonly createdAt: Date
  /** No expiry when absent. */
  readonly expiresAt?: Date
}

export interface PutOptions {
  readonly contentType: string
  readonly expiresAt?: Date
}

export interface ByteRange {
  readonly start: number
  /** Inclusive, as in HTTP. */
  readonly end: number
}

export interface UploadedPart {
  readonly partNumber: number
  readonly etag: string
}

/** Files by key (`files/ab/<random>_<name>`). Writes are atomic: a reader sees the old object, the new one, or none. */
export interface ObjectStore {
  put(key: string, body: Uint8Array | ReadableStream<Uint8Array>, options: PutOptions): Promise<ObjectInfo>
  head(key: string): Promise<ObjectInfo | undefined>
  get(key: string, range?: ByteRange): Promise<{ info: ObjectInfo; body: ReadableStream<Uint8Array> } | undefined>
  delete(key: string): Promise<void>

  createMultipart(key: string, options: PutOptions): Promise<string>
  putPart(key: string, uploadId: string, partNumber: number, body: ReadableStream<Uint8Array>): Promise<UploadedPart>
  /** Parts may come in any order; they are joined by number. */
  completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<ObjectInfo>
  abortMultipart(key: string, uploadId: string): Promise<void>

  /** A URL that takes a PUT straight to the bucket, or `undefined` where the gateway must take it (disk). */
  presignPut(key: string, options: PutOptions & { expiresInSeconds: number }): Promise<string | undefined>

  /** Removes expired objects and abandoned multipart uploads. */
  sweep(now: Date): Promise<void>
}
