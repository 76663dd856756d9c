import { answerableError, WireError } from '../../errors/errors.ts'
import { StorageError, type StorageErrorCode } from '../../storage/storage-error.ts'

/** Of the errors that are the caller's; those of the store itself are outages. */
const STATUS: Readonly<Partial<Record<StorageErrorCode, number>>> = {
  invalid_key: 404,
  invalid_range: 416,
  invalid_upload: 400,
  upload_not_found: 404,
}

/** Says on the wire what is the caller's to know: whose disk is full and where it lies is for the log (`cause`). */
function storageFailure(error: unknown): unknown {
  const answerable = answerableError(error)
  if (answerable !== undefined || !(error instanceof StorageError)) return answerable ?? error
  const detail = error.code === 'invalid_key' ? 'File not found' : error.message
  return new WireError(STATUS[error.code] ?? 500, detail, { cause: error })
}

/** Runs `work` and rethrows storage errors as their answers. */
export async function answeringStorageErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storageFailure(error)
  }
}
