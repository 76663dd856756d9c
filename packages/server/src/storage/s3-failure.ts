import { S3ServiceException } from '@aws-sdk/client-s3'
import { StorageError, type StorageErrorCode } from './storage-error.ts'

/** Error codes of S3 and of servers that speak its protocol. */
const CODES: Readonly<Record<string, StorageErrorCode>> = {
  NoSuchUpload: 'upload_not_found',
  InvalidPart: 'invalid_upload',
  InvalidPartOrder: 'invalid_upload',
  EntityTooSmall: 'invalid_upload',
  InvalidRange: 'invalid_range',
  AccessDenied: 'access_denied',
  InvalidAccessKeyId: 'access_denied',
  SignatureDoesNotMatch: 'access_denied',
  XMinioStorageFull: 'no_space',
  QuotaExceeded: 'no_space',
}

/** Any error of the S3 client as a `StorageError` that says which bucket and what the server said. */
export function s3Failure(error: unknown, bucket: string): StorageError {
  if (error instanceof StorageError) return error
  if (!(error instanceof S3ServiceException)) {
    return new StorageError('unavailable', `the S3 server of bucket ${bucket} does not answer: ${String(error)}`, error)
  }
  const status = error.$metadata.httpStatusCode
  const code = CODES[error.name] ?? codeOfStatus(status)
  return new StorageError(code, `bucket ${bucket}: ${error.name} ${error.message} (status ${status})`, error)
}

/** True for an object that does not exist; a bucket that does not exist is a failure. */
export function isNotFound(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : undefined
  if (!(cause instanceof S3ServiceException)) return false
  // HEAD has no body and so no code: the SDK calls it NotFound.
  return cause.name === 'NoSuchKey' || (cause.name === 'NotFound' && cause.$metadata.httpStatusCode === 404)
}

function codeOfStatus(status: number | undefined): StorageErrorCode {
  if (status === 401 || status === 403) return 'access_denied'
  if (status === 416) return 'invalid_range'
  return status === 507 ? 'no_space' : 'unavailable'
}
