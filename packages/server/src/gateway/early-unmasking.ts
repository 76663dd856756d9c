import type { Duplex } from 'node:stream'

const MASK_BYTES = 4
/** RFC 6455, 5.2: lengths of 126 and 127 say that two or eight bytes of length follow. */
const LENGTH_BYTES: Readonly<Record<number, number>> = { 126: 2, 127: 8 }

/**
 * Takes the masks off a client's frames while they come, and leaves zeros in their place, which `ws` takes for no mask. By itself it
 * unmasks a message when all of it is there, byte by byte: 64 MiB held the event loop for half a second, and small ones of many clients that
 * end together as long.
 * @param connection of a WebSocket whose `data` listener is attached already
 */
export function unmaskEarly(connection: Pick<Duplex, 'prependListener'>): void {
  const frames = new MaskedFrames()
  connection.prependListener('data', (chunk: Uint8Array) => frames.unmask(chunk))
}

/** The frames of one direction of a connection, as bytes that come in chunks of any size. */
export class MaskedFrames {
  /** Bytes of the present frame's header that have come: two, those of its length, its mask. */
  #header = 0
  #headerLength = 2
  #isMasked = false
  #lengthBytes = 0
  /** Of the payload, that are still to come. */
  #left = 0
  /** The mask, its first byte for the next byte of the payload. */
  readonly #mask = new Uint8Array(MASK_BYTES)

  /** Unmasks in place what has come. */
  unmask(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#header < this.#headerLength) {
        this.#readHeader(chunk, at)
        at += 1
      } else {
        const end = Math.min(chunk.length, at + this.#left)
        if (this.#isMasked) this.#unmaskRange(chunk.subarray(at, end))
        this.#left -= end - at
        at = end
      }
      if (this.#header === this.#headerLength && this.#left === 0) this.#nextFrame()
    }
  }

  #nextFrame(): void {
    this.#header = 0
    this.#headerLength = 2
  }

  #readHeader(chunk: Uint8Array, at: number): void {
    const byte = chunk[at] ?? 0
    const index = this.#header++
    if (index === 1) {
      this.#isMasked = byte >= 0x80
      this.#left = byte & 0x7f
      this.#lengthBytes = LENGTH_BYTES[this.#left] ?? 0
      if (this.#lengthBytes > 0) this.#left = 0
      this.#headerLength = 2 + this.#lengthBytes + (this.#isMasked ? MASK_BYTES : 0)
    } else if (index >= 2 && index < 2 + this.#lengthBytes) {
      this.#left = this.#left * 256 + byte
    } else if (index >= 2) {
      this.#mask[index - 2 - this.#lengthBytes] = byte
      chunk[at] = 0
    }
  }

  /** Word by word where the bytes lie so, which is eight times as fast. */
  #unmaskRange(bytes: Uint8Array): void {
    const before = (MASK_BYTES - (bytes.byteOffset % MASK_BYTES)) % MASK_BYTES
    if (bytes.length < before + MASK_BYTES) {
      this.#unmaskBytes(bytes)
      return
    }
    this.#unmaskBytes(bytes.subarray(0, before))
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + before, (bytes.length - before) >>> 2)
    const mask = new Uint32Array(this.#mask.buffer)[0] ?? 0
    // `forEach` and iterators take several times as long.
    for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ mask
    this.#unmaskBytes(bytes.subarray(before + words.length * MASK_BYTES))
  }

  #unmaskBytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] ?? 0) ^ (this.#mask[i % MASK_BYTES] ?? 0)
    this.#turnMask(bytes.length)
  }

  #turnMask(bytes: number): void {
    const turned = this.#mask.map((_, i) => this.#mask[(i + bytes) % MASK_BYTES] ?? 0)
    this.#mask.set(turned)
  }
}
