/** What is shorter lies in the request's own row. */
export const INLINE_CHARACTERS = 4096
/** A file that is stored once must be worth a row of its own. */
const FILE_CHARACTERS = 16 * 1024
/** Large enough to be few, small enough that a reader who is slow holds one of them. */
const PIECE_CHARACTERS = 256 * 1024

const DATA_URI = '"data:'

/**
 * A JSON text cut into pieces, or `undefined` where it is short enough to be kept as it is. A file that stands in it as a `data:` URI
 * begins a piece, whatever stands around it, so that the pieces of equal files are equal.
 */
export function piecesOf(text: string): readonly string[] | undefined {
  if (text.length <= INLINE_CHARACTERS) return undefined
  const pieces: string[] = []
  let done = 0
  for (let quote = text.indexOf(DATA_URI); quote !== -1; ) {
    const begin = quote + 1
    const found = text.indexOf('"', begin)
    const end = found === -1 ? text.length : found
    if (end - begin >= FILE_CHARACTERS) {
      pieces.push(...slices(text, done, begin), ...slices(text, begin, end))
      done = end
    }
    quote = text.indexOf(DATA_URI, end)
  }
  pieces.push(...slices(text, done, text.length))
  return pieces
}

function slices(text: string, from: number, until: number): string[] {
  const pieces: string[] = []
  for (let start = from; start < until; ) {
    const end = Math.min(start + PIECE_CHARACTERS, until)
    const cut = end < until && isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
    pieces.push(text.slice(start, cut))
    start = cut
  }
  return pieces
}

/** Half of a character is none that a database takes. */
function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
