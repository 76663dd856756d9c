import type { Outage } from '../errors/errors.ts'

/**
 * `no_space` and `read_only` need somebody to act on the disk; `unavailable` may pass by itself;
 * the rest are the caller's: a key, range or upload that cannot be.
 */
export type StorageErrorCode =
  | 'no_space'
  | 'read_only'
  | 'access_denied'
  | 'unavailable'
  | 'invalid_key'
  | 'invalid_range'
  | 'invalid_upload'
  | 'upload_not_found'

export class StorageError extends Error implements Outage {
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode
  /** Whether the same call may succeed later without anybody doing something. */
  readonly retryable: boolean

  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
    this.retryable = code === 'unavailable'
  }

  get outage(): string | undefined {
    return OUTAGES[this.code]
  }
}

const OUTAGES: Readonly<Partial<Record<StorageErrorCode, string>>> = {
  no_space: 'This server has no space left for files',
  read_only: 'This server cannot write files at the moment: its storage refuses it',
  access_denied: 'This server cannot write files at the moment: its storage refuses it',
  unavailable: 'The file storage does not answer at the moment: try again',
}
