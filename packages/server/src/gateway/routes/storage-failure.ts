import { WireError } from '../../errors/errors.ts'
import { StorageError, type StorageErrorCode } from '../../storage/storage-error.ts'

const STATUS: Readonly<Record<StorageErrorCode, number>> = {
  no_space: 507,
  read_only: 503,
  access_denied: 503,
  unavailable: 503,
  invalid_key: 404,
  invalid_range: 416,
  invalid_upload: 400,
  upload_not_found: 404,
}

/** Says on the wire what is the caller's to know: whose disk is full and where it lies is for the log (`cause`). */
export function storageFailure(error: unknown): unknown {
  if (!(error instanceof StorageError)) return error
  return new WireError(STATUS[error.code], detail(error), { cause: error })
}

function detail(error: StorageError): string {
  return error.outage ?? (error.code === 'invalid_key' ? 'File not found' : error.message)
}

/** Runs `work` and rethrows storage errors as their answers. */
export async function answeringStorageErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storageFailure(error)
  }
}
