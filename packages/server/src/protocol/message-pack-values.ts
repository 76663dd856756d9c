/**
 * Whether a MessagePack message holds at most so many values: found by its headers alone, before anything is made of it. A message of
 * 64 MB can hold 64 million values, for which its decoder would take seconds and gigabytes. What is cut off or no MessagePack is left
 * to the decoder. Source: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export function hasAtMostValues(message: Uint8Array, most: number): boolean {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  let values = 0
  try {
    for (let at = 0; at < message.byteLength; ) {
      if (++values > most) return false
      at += sizeAt(view, at)
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  return true
}

/** Bytes of the value that begins here; of a list or map those of its header, for its members are values of their own. */
function sizeAt(view: DataView, at: number): number {
  const type = view.getUint8(at)
  if (type >= 0xa0 && type <= 0xbf) return 1 + (type & 0x1f)
  if (type < 0xc4 || type > 0xdf) return 1
  const [header = 1, lengthBytes = 0] = HEADERS[type - 0xc4] ?? []
  if (lengthBytes === 1) return header + view.getUint8(at + 1)
  if (lengthBytes === 2) return header + view.getUint16(at + 1)
  return lengthBytes === 4 ? header + view.getUint32(at + 1) : header
}

/** From 0xc4 on: bytes of the value without its data, and of the length of the data that stands behind the type. */
const HEADERS: readonly (readonly [header: number, lengthBytes: number])[] = [
  ...([
    [2, 1],
    [3, 2],
    [5, 4],
  ] as const), // bin
  ...([
    [3, 1],
    [4, 2],
    [6, 4],
  ] as const), // ext
  ...([
    [5, 0],
    [9, 0],
  ] as const), // float
  ...([
    [2, 0],
    [3, 0],
    [5, 0],
    [9, 0],
  ] as const), // uint
  ...([
    [2, 0],
    [3, 0],
    [5, 0],
    [9, 0],
  ] as const), // int
  ...([
    [3, 0],
    [4, 0],
    [6, 0],
    [10, 0],
    [18, 0],
  ] as const), // fixext
  ...([
    [2, 1],
    [3, 2],
    [5, 4],
  ] as const), // str
  ...([
    [3, 0],
    [5, 0],
  ] as const), // array
  ...([
    [3, 0],
    [5, 0],
  ] as const), // map
]
