import type { FileReader } from '../../storage/lifecycle.ts'
import type { LifecycleDefaults } from '../../storage/lifecycle-defaults.ts'
import type { ObjectStore } from '../../storage/object-store.ts'

export interface UploadLimits {
  /** Bytes of one file. */
  readonly maxFileBytes: number
  /** Bytes of one part of a multipart upload; the S3 store holds one part in memory per request. */
  readonly maxPartBytes: number
  /** Seconds for which a signed upload URL or a CDN token is good. */
  readonly ticketSeconds: number
}

/** What the storage and file routes need from the gateway they are mounted in. */
export interface StorageDependencies {
  readonly store: ObjectStore
  /** Signs upload URLs, download URLs and CDN tokens; the same on every gateway. At least 32 random bytes. */
  readonly secret: Uint8Array
  readonly limits: UploadLimits
  /** For files whose request says nothing of their lifecycle. */
  readonly lifecycleDefaults: Pick<LifecycleDefaults, 'current'>
  /** @throws WireError 507 while nothing new is stored */
  requireRoom(): void
  /** Origin and prefix under which this client reaches files: `http://localhost:3010/cdn`, or `https://v3.fal.media`. */
  filesUrl(request: Request): string
  /**
   * Who calls.
   * @throws WireError 401 when a key is needed and none, or a wrong one, was sent
   */
  authenticate(request: Request): Promise<FileReader>
}
