import type { UploadedPart } from './object-store.ts'
import { StorageError } from './storage-error.ts'

/** S3's own limit. */
const MAX_PART_NUMBER = 10_000

/** A multipart upload that is so old is swept. */
export const ABANDONED_UPLOAD_SECONDS = 24 * 3600

/** @throws StorageError `invalid_upload` */
export function assertPartNumber(partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= MAX_PART_NUMBER) return
  throw new StorageError('invalid_upload', `part number ${partNumber}: expected 1 to ${MAX_PART_NUMBER}`)
}

/** The parts by number. @throws StorageError `invalid_upload` when there is none, or one is listed twice */
export function orderParts(parts: readonly UploadedPart[]): readonly UploadedPart[] {
  if (parts.length === 0) {
    throw new StorageError('invalid_upload', 'a multipart upload is completed with at least one part')
  }
  const ordered = parts.toSorted((a, b) => a.partNumber - b.partNumber)
  const twice = ordered.find((part, index) => ordered[index - 1]?.partNumber === part.partNumber)
  if (twice !== undefined) throw new StorageError('invalid_upload', `part ${twice.partNumber} is listed twice`)
  return ordered
}
