import { crc32 } from 'node:zlib'
import type { OutputFormat } from './encode.ts'

/** The PNG keyword that a text is found by. */
const KEYWORD = 'darkroom'
/** Bytes a JPEG segment can hold, its own length counted, less the EXIF header and directory before the text. */
export const LONGEST_PICTURE_TEXT = 65_000

/**
 * The file with a text in it that programs find: a PNG gets a `tEXt` chunk "darkroom" (PNG specification, 11.3.3.2), a JPEG an
 * EXIF block with the text as UserComment (Exif 2.32, tag 37510). Pixels and every other byte stay as they are.
 * @param file a PNG or JPEG as `encodeImage` writes it
 * @param text ASCII, at most LONGEST_PICTURE_TEXT characters
 * @throws RangeError for a text that cannot be carried
 */
export function withPictureText(file: Uint8Array, format: OutputFormat, text: string): Uint8Array {
  if (text.length > LONGEST_PICTURE_TEXT || !/^[\x20-\x7e]*$/.test(text)) {
    throw new RangeError(`text: expected printable ASCII of at most ${LONGEST_PICTURE_TEXT} characters`)
  }
  return format === 'png' ? insert(file, PNG_HEADER_BYTES, pngText(text)) : insert(file, JPEG_START_BYTES, exif(text))
}

/** Signature and the IHDR chunk, which has to be the first. */
const PNG_HEADER_BYTES = 8 + 25
/** The SOI marker. */
const JPEG_START_BYTES = 2

function insert(file: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  const result = new Uint8Array(file.length + part.length)
  result.set(file.subarray(0, at))
  result.set(part, at)
  result.set(file.subarray(at), at + part.length)
  return result
}

function pngText(text: string): Uint8Array {
  const data = Buffer.from(`tEXt${KEYWORD}\0${text}`, 'latin1')
  const chunk = Buffer.alloc(data.length + 8)
  chunk.writeUInt32BE(data.length - 4, 0)
  chunk.set(data, 4)
  chunk.writeUInt32BE(crc32(data), data.length + 4)
  return chunk
}

const EXIF_POINTER = 0x8769
const USER_COMMENT = 0x9286
const LONG = 4
const UNDEFINED = 7
/** A directory of one entry: count, entry, offset of the next directory. */
const DIRECTORY_BYTES = 2 + 12 + 4

/** An APP1 segment: a TIFF header, a directory that leads to the Exif directory, and there the comment. */
function exif(text: string): Uint8Array {
  const comment = Buffer.from(`ASCII\0\0\0${text}`, 'latin1')
  const exifDirectoryAt = 8 + DIRECTORY_BYTES
  const commentAt = exifDirectoryAt + DIRECTORY_BYTES
  const tiff = Buffer.alloc(commentAt + comment.length)
  tiff.write('II*\0', 'latin1')
  tiff.writeUInt32LE(8, 4)
  writeDirectory(tiff, 8, { tag: EXIF_POINTER, type: LONG, count: 1, value: exifDirectoryAt })
  writeDirectory(tiff, exifDirectoryAt, { tag: USER_COMMENT, type: UNDEFINED, count: comment.length, value: commentAt })
  tiff.set(comment, commentAt)
  const head = Buffer.from('\xff\xe1\0\0Exif\0\0', 'latin1')
  head.writeUInt16BE(2 + 6 + tiff.length, 2)
  return Buffer.concat([head, tiff])
}

interface DirectoryEntry {
  readonly tag: number
  readonly type: number
  readonly count: number
  /** The value itself, or where it lies. */
  readonly value: number
}

function writeDirectory(tiff: Buffer, at: number, { tag, type, count, value }: DirectoryEntry): void {
  tiff.writeUInt16LE(1, at)
  tiff.writeUInt16LE(tag, at + 2)
  tiff.writeUInt16LE(type, at + 4)
  tiff.writeUInt32LE(count, at + 6)
  tiff.writeUInt32LE(value, at + 10)
}
