import type { Input } from './starting-input.ts'

/** The request that a picture of Darkroom's carries. */
export interface PictureRecord {
  readonly endpointId: string
  readonly input: Input
  /** Fields that were files and are not in the picture: `image_url`. */
  readonly omitted: readonly string[]
}

/** The record in the bytes of a PNG (text chunk "darkroom") or JPEG (EXIF comment); undefined where there is none. */
export function readPictureRecord(bytes: Uint8Array): PictureRecord | undefined {
  const text = isPng(bytes) ? pngText(bytes) : exifComment(bytes)
  return text === undefined ? undefined : parseRecord(text)
}

function parseRecord(text: string): PictureRecord | undefined {
  try {
    // Seeds beyond 2^53 keep all their digits as text, which the server reads as well.
    const exact = text.replaceAll(/("seed": )(\d{16,})/g, '$1"$2"')
    const { endpoint_id: endpointId, input, omitted = [] } = JSON.parse(exact) as Record<string, unknown>
    if (typeof endpointId !== 'string' || typeof input !== 'object' || input === null) return undefined
    return { endpointId, input: input as Input, omitted: omitted as readonly string[] }
  } catch {
    return undefined
  }
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const KEYWORD = 'darkroom\0'

function isPng(bytes: Uint8Array): boolean {
  return PNG_SIGNATURE.every((byte, index) => bytes[index] === byte)
}

function pngText(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = PNG_SIGNATURE.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at)
    const data = ascii(bytes.subarray(at + 8, at + 8 + length))
    if (ascii(bytes.subarray(at + 4, at + 8)) === 'tEXt' && data.startsWith(KEYWORD)) return data.slice(KEYWORD.length)
    at += length + 12
  }
  return undefined
}

const APP1 = 0xe1
const START_OF_SCAN = 0xda
const COMMENT_START = 'ASCII\0\0\0'

function exifComment(bytes: Uint8Array): string | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]
    if (marker === START_OF_SCAN) return undefined
    const length = view.getUint16(at + 2)
    const data = marker === APP1 ? ascii(bytes.subarray(at + 4, at + 2 + length)) : ''
    const start = data.startsWith('Exif\0\0') ? data.indexOf(COMMENT_START) : -1
    if (start >= 0) return data.slice(start + COMMENT_START.length)
    at += length + 2
  }
  return undefined
}

function ascii(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes)
}
