import { randomBytes } from 'node:crypto'
import { StorageError } from './storage-error.ts'

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/
const MAX_SEGMENT_LENGTH = 200
const MAX_KEY_LENGTH = 512
const MAX_NAME_LENGTH = 80

/** @throws StorageError `invalid_key`: keys become paths, so nothing that climbs, hides or differs per platform passes. */
export function assertObjectKey(key: string): void {
  const safe =
    key.length <= MAX_KEY_LENGTH &&
    key
      .split('/')
      .every((segment) => segment.length <= MAX_SEGMENT_LENGTH && SEGMENT.test(segment) && !segment.endsWith('.'))
  if (!safe) {
    const shown = JSON.stringify(key.slice(0, 100))
    throw new StorageError(
      'invalid_key',
      `object key ${shown}: expected segments of letters, digits, ".", "_" and "-" joined by "/"`,
    )
  }
}

/** A key nobody can guess (128 random bits) that still ends in the file's own name: `files/3f/<random>_<name>`. */
export function newFileKey(fileName: string): string {
  const random = randomBytes(16).toString('hex')
  return `files/${random.slice(0, 2)}/${random.slice(2)}_${safeFileName(fileName)}`
}

/**
 * The part of an uploaded file's name that is safe in a path, a URL and a header: accents dropped, everything else
 * outside `[A-Za-z0-9._-]` a dash, at most 80 characters with the extension kept.
 */
function safeFileName(name: string): string {
  const base = name.split(/[/\\]/).at(-1) ?? ''
  const plain = base
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/\.{2,}/g, '.')
    .replace(/^[.-]+|(?<![.-])[.-]+$/g, '')
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(plain)?.[0] ?? ''
  const stem = plain.slice(0, plain.length - extension.length).slice(0, MAX_NAME_LENGTH - extension.length)
  return `${stem === '' ? 'file' : stem}${extension}`
}
