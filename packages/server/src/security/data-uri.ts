import { OutboundError } from './outbound-error.ts'

export interface DecodedDataUri {
  readonly bytes: Uint8Array
  /** `text/plain` when the URI names none. */
  readonly contentType: string
}

/**
 * Decodes `data:[<type>][;base64],<data>` (RFC 2397), base64 in the standard or the URL alphabet, padded or not.
 * @throws OutboundError `invalid_url`, or `too_large` before anything is decoded
 */
export function decodeDataUri(uri: string, maxBytes: number): DecodedDataUri {
  const comma = uri.indexOf(',')
  if (!/^data:/i.test(uri) || comma < 0) {
    throw new OutboundError('invalid_url', 'expected data:<type>;base64,<data>')
  }
  const header = uri.slice('data:'.length, comma)
  const isBase64 = /;\s*base64\s*$/i.test(header)
  const contentType = header.replace(/;\s*base64\s*$/i, '').trim()
  const data = uri.slice(comma + 1)
  const bytes = isBase64 ? decodeBase64(data, maxBytes) : decodePercent(data, maxBytes)
  return { bytes, contentType: contentType === '' ? 'text/plain' : contentType }
}

function decodeBase64(text: string, maxBytes: number): Uint8Array {
  // 4 characters make 3 bytes; a third more for percent signs and line breaks, which some encoders put in.
  if (text.length > maxBytes * 2 + 1024) throw tooLarge(maxBytes)
  const unescaped = text.includes('%') ? Buffer.from(percentBytes(text)).toString('latin1') : text
  const plain = unescaped.replace(/\s+/g, '')
  const length = plain.endsWith('==') ? plain.length - 2 : plain.endsWith('=') ? plain.length - 1 : plain.length
  // Node reads both alphabets and passes over what is in neither, which then shows in the length. A regular expression
  // over 40 MB takes ten times as long.
  const bytes = Buffer.from(plain, 'base64')
  if (length % 4 === 1 || bytes.byteLength !== Math.floor((length * 3) / 4)) {
    throw new OutboundError('invalid_url', 'the data after "base64," is not base64')
  }
  return limited(bytes, maxBytes)
}

function decodePercent(text: string, maxBytes: number): Uint8Array {
  if (text.length > maxBytes * 3) throw tooLarge(maxBytes)
  return limited(percentBytes(text), maxBytes)
}

/** WHATWG URL, "percent-decode": a `%` without two hex digits stands for itself. */
function percentBytes(text: string): Uint8Array {
  const encoded = Buffer.from(text, 'utf8')
  const decoded = Buffer.alloc(encoded.byteLength)
  let length = 0
  for (let i = 0; i < encoded.byteLength; i++) {
    const byte = encoded[i] ?? 0
    const hex = byte === 0x25 ? encoded.toString('latin1', i + 1, i + 3) : ''
    const escaped = /^[0-9A-Fa-f]{2}$/.test(hex)
    decoded[length++] = escaped ? Number.parseInt(hex, 16) : byte
    if (escaped) i += 2
  }
  return decoded.subarray(0, length)
}

function limited(bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes)
  return bytes
}

function tooLarge(maxBytes: number): OutboundError {
  return new OutboundError('too_large', `it has more than ${maxBytes} bytes`)
}
