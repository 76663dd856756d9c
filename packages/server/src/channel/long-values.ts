/** What an input holds of long texts and byte strings is sent ahead of it, piece by piece. */
export type LongValue = string | Uint8Array

/** Characters or bytes of a piece: each takes the event loop some hundred microseconds to encode, mask and write. */
const PIECE_LENGTH = 256 * 1024

/** Stands in an input for the value of this number. */
export class LongValueReference {
  readonly index: number

  constructor(index: number) {
    this.index = index
  }
}

/** An input without its long values, and these by their numbers. */
export function withoutLongValues(input: unknown): { readonly input: unknown; readonly long: readonly LongValue[] } {
  if (!holdsLong(input)) return { input, long: [] }
  const long: LongValue[] = []
  return { input: replaced(input, (value) => new LongValueReference(long.push(value) - 1)), long }
}

function isLong(value: unknown): value is LongValue {
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length > PIECE_LENGTH
}

function holdsLong(value: unknown): boolean {
  if (isLong(value)) return true
  if (Array.isArray(value)) return value.some(holdsLong)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false
  return Object.values(value).some(holdsLong)
}

function replaced(value: unknown, reference: (value: LongValue) => LongValueReference): unknown {
  if (isLong(value)) return reference(value)
  if (Array.isArray(value)) return value.map((member) => replaced(member, reference))
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, replaced(member, reference)]))
}

/** The pieces of a value, characters whole. */
export function* piecesOfLong(value: LongValue): Generator<LongValue> {
  for (let from = 0; from < value.length; ) {
    const end = Math.min(from + PIECE_LENGTH, value.length)
    const until =
      typeof value === 'string' && end < value.length && isHighSurrogate(value.charCodeAt(end - 1)) ? end - 1 : end
    yield typeof value === 'string' ? value.slice(from, until) : value.subarray(from, until)
    from = until
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

/** Puts the pieces of one work's long values together as they come. */
export class LongValues {
  readonly #pieces: LongValue[][] = []

  add(index: number, piece: LongValue): void {
    const pieces = this.#pieces[index] ?? []
    this.#pieces[index] = pieces
    pieces.push(piece)
  }

  /** @throws where nothing of that value came */
  at({ index }: LongValueReference): LongValue {
    const pieces = this.#pieces[index]
    if (pieces === undefined) throw new Error(`Expected the pieces of the long value ${index}, found none`)
    if (typeof pieces[0] === 'string') return pieces.join('')
    const joined = Buffer.concat(pieces as Uint8Array[])
    // A Buffer is another kind of byte string to whoever looks at it.
    return new Uint8Array(joined.buffer, joined.byteOffset, joined.byteLength)
  }
}
