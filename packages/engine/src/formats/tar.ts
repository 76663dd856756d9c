/** Reads tar archives: ustar, with the long names of GNU and pax (POSIX.1-2001, "ustar Interchange Format" and "pax Header Block"). */

import { defined } from '../tensor/defined.ts'

export interface TarEntry {
  readonly name: string
  readonly kind: 'file' | 'folder' | 'link' | 'device'
  /** Shares the archive's memory. */
  readonly data: Uint8Array
}

const BLOCK = 512

/** Kinds by the header's type flag; others are ordinary files, as the specification asks. */
const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '1': 'link',
  '2': 'link',
  '3': 'device',
  '4': 'device',
  '5': 'folder',
  '6': 'device',
}

const GNU_LONG_NAME = 'L'
const GNU_LONG_LINK = 'K'
const PAX = 'x'
const PAX_GLOBAL = 'g'

/** Whether the first block is a tar header: its checksum says so. */
export function isTar(file: Uint8Array): boolean {
  return file.length >= BLOCK && file[0] !== 0 && hasChecksum(file.subarray(0, BLOCK))
}

/**
 * The entries one after another.
 * @param damaged makes the error of an archive whose headers are wrong or whose end is missing
 */
export function* readTar(file: Uint8Array, damaged: (reason: string) => Error): Generator<TarEntry> {
  let longName: string | undefined
  for (let position = 0; position + BLOCK <= file.length; ) {
    const header = file.subarray(position, position + BLOCK)
    if (header.every((byte) => byte === 0)) return
    if (!hasChecksum(header)) throw damaged('a header has a wrong checksum')
    const size = number(header, 124, 12)
    const start = position + BLOCK
    if (!Number.isSafeInteger(size) || size < 0 || start + size > file.length) throw damaged('its end is missing')
    position = start + Math.ceil(size / BLOCK) * BLOCK
    const data = file.subarray(start, start + size)
    const flag = String.fromCharCode(defined(header[156]))
    if (flag === GNU_LONG_NAME) longName = text(data, 0, data.length)
    else if (flag === PAX) longName = paxPath(data) ?? longName
    else if (flag !== PAX_GLOBAL && flag !== GNU_LONG_LINK) {
      yield { name: longName ?? nameOf(header), kind: KINDS[flag] ?? 'file', data }
      longName = undefined
    }
  }
}

function nameOf(header: Uint8Array): string {
  const name = text(header, 0, 100)
  const prefix = text(header, 257, 5) === 'ustar' && header[262] === 0 ? text(header, 345, 155) : ''
  return prefix ? `${prefix}/${name}` : name
}

/** The path in records of `length key=value\n`. */
function paxPath(data: Uint8Array): string | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  for (let position = 0; position < bytes.length; ) {
    const space = bytes.indexOf(' ', position)
    const length = Number(bytes.subarray(position, space).toString('latin1'))
    if (space < 0 || !(length > 0)) return undefined
    const record = bytes.subarray(space + 1, position + length - 1).toString('utf8')
    if (record.startsWith('path=')) return record.slice('path='.length)
    position += length
  }
  return undefined
}

/** The sum of the header's bytes, the checksum's own taken as spaces. */
function hasChecksum(header: Uint8Array): boolean {
  let sum = 0
  for (const [i, byte] of header.entries()) sum += i >= 148 && i < 156 ? 32 : byte
  return sum === number(header, 148, 8)
}

/** Octal digits, or GNU's binary form for sizes beyond 8 GB. */
function number(header: Uint8Array, start: number, length: number): number {
  if ((defined(header[start]) & 0x80) !== 0) {
    return header.subarray(start + 1, start + length).reduce((value, byte) => value * 256 + byte, 0)
  }
  const digits = text(header, start, length).trim()
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN
}

/** Up to the first NUL. */
function text(bytes: Uint8Array, start: number, length: number): string {
  const field = Buffer.from(bytes.buffer, bytes.byteOffset + start, length)
  const end = field.indexOf(0)
  return field.subarray(0, end < 0 ? length : end).toString('utf8')
}
