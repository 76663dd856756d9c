/** Half-open: `[from, to)`. */
export type ByteRange = readonly [from: number, to: number]

/** Which bytes of a file are there, as sorted ranges that do not touch. */
export class ByteRanges {
  #ranges: ByteRange[] = []

  constructor(ranges: readonly ByteRange[] = []) {
    for (const [from, to] of ranges) this.add(from, to)
  }

  get ranges(): readonly ByteRange[] {
    return this.#ranges
  }

  /** How many bytes are there. */
  get length(): number {
    return this.#ranges.reduce((sum, [from, to]) => sum + to - from, 0)
  }

  /** How many bytes are there from the start without a gap. */
  get prefix(): number {
    const [first] = this.#ranges
    return first !== undefined && first[0] === 0 ? first[1] : 0
  }

  add(from: number, to: number): void {
    if (to <= from) return
    const before = this.#ranges.filter((range) => range[1] < from)
    const after = this.#ranges.filter((range) => range[0] > to)
    const touching = this.#ranges.slice(before.length, this.#ranges.length - after.length)
    const start = Math.min(from, ...touching.map((range) => range[0]))
    const end = Math.max(to, ...touching.map((range) => range[1]))
    this.#ranges = [...before, [start, end], ...after]
  }

  /** What is not there of `[0, size)`, in pieces of `largest` bytes at most. */
  missing(size: number, largest: number): ByteRange[] {
    const pieces: ByteRange[] = []
    let position = 0
    const upTo = (end: number) => {
      for (; position < end; position += largest) pieces.push([position, Math.min(end, position + largest)])
    }
    for (const [from, to] of this.#ranges) {
      upTo(Math.min(from, size))
      position = to
    }
    upTo(size)
    return pieces
  }
}
