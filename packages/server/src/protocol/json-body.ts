/**
 * Bytes of a JSON body as text, in the encoding CPython's `json.loads(bytes)` finds: UTF-8, -16 or -32, told by a byte
 * order mark or by where the zero bytes are (RFC 4627, 3), with encoded lone surrogates kept.
 * @returns `undefined` when the bytes are no text in that encoding
 */
export function decodeJsonBody(bytes: Uint8Array): string | undefined {
  const { encoding, skip } = detectEncoding(bytes)
  const body = bytes.subarray(skip)
  switch (encoding) {
    case 'utf-8':
      return decodeUtf8(body)
    case 'utf-16le':
    case 'utf-16be':
      return decodeUtf16(body, encoding === 'utf-16le')
    case 'utf-32le':
    case 'utf-32be':
      return decodeUtf32(body, encoding === 'utf-32le')
  }
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'utf-32le' | 'utf-32be'

function detectEncoding(bytes: Uint8Array): { encoding: Encoding; skip: number } {
  const [a, b, c, d] = bytes
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return { encoding: 'utf-32be', skip: 4 }
  if (a === 0xff && b === 0xfe && c === 0 && d === 0) return { encoding: 'utf-32le', skip: 4 }
  if (a === 0xfe && b === 0xff) return { encoding: 'utf-16be', skip: 2 }
  if (a === 0xff && b === 0xfe) return { encoding: 'utf-16le', skip: 2 }
  if (a === 0xef && b === 0xbb && c === 0xbf) return { encoding: 'utf-8', skip: 3 }
  if (bytes.length >= 4) {
    if (a === 0) return { encoding: b === 0 ? 'utf-32be' : 'utf-16be', skip: 0 }
    if (b === 0) return { encoding: c === 0 && d === 0 ? 'utf-32le' : 'utf-16le', skip: 0 }
  } else if (bytes.length === 2) {
    if (a === 0) return { encoding: 'utf-16be', skip: 0 }
    if (b === 0) return { encoding: 'utf-16le', skip: 0 }
  }
  return { encoding: 'utf-8', skip: 0 }
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return STRICT_UTF8.decode(bytes)
  } catch {
    return decodeUtf8WithSurrogates(bytes)
  }
}

/** UTF-8 in which surrogates may stand encoded by themselves (ED A0 80 … ED BF BF), which strict decoders refuse. */
function decodeUtf8WithSurrogates(bytes: Uint8Array): string | undefined {
  let text = ''
  let from = 0
  try {
    for (let at = bytes.indexOf(0xed); at !== -1; at = bytes.indexOf(0xed, at + 1)) {
      const second = bytes[at + 1] ?? 0
      const third = bytes[at + 2] ?? 0
      if (second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue
      text += STRICT_UTF8.decode(bytes.subarray(from, at))
      text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f))
      from = at + 3
    }
    return text + STRICT_UTF8.decode(bytes.subarray(from))
  } catch {
    return undefined
  }
}

function decodeUtf16(bytes: Uint8Array, littleEndian: boolean): string | undefined {
  if (bytes.length % 2 !== 0) return undefined
  const copy = Buffer.from(bytes)
  // Buffer keeps lone surrogates where TextDecoder would replace them.
  return (littleEndian ? copy : copy.swap16()).toString('utf16le')
}

const CODE_POINTS_AT_ONCE = 8192

function decodeUtf32(bytes: Uint8Array, littleEndian: boolean): string | undefined {
  if (bytes.length % 4 !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ''
  for (let from = 0; from < bytes.length; from += 4 * CODE_POINTS_AT_ONCE) {
    const codePoints: number[] = []
    for (let at = from; at < Math.min(bytes.length, from + 4 * CODE_POINTS_AT_ONCE); at += 4) {
      codePoints.push(view.getUint32(at, littleEndian))
    }
    if (codePoints.some((codePoint) => codePoint > 0x10ffff)) return undefined
    text += String.fromCodePoint(...codePoints)
  }
  return text
}
