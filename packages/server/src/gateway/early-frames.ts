import type { Duplex } from 'node:stream'
import { SharedSlots } from '../waiting/shared-slots.ts'

const MASK_BYTES = 4
/** RFC 6455, 5.2: lengths of 126 and 127 say that two or eight bytes of length follow. */
const LENGTH_BYTES: Readonly<Record<number, number>> = { 126: 2, 127: 8 }

/** Payloads up to here are put together in microseconds. */
const SMALL_BYTES = 64 * 1024

/** Payloads from here on are gathered a few at a time: eight of 8 MB that end together have 40 ms of garbage collected in one piece. */
const LARGE_BYTES = 1024 * 1024

/** For so long others wait for a large payload: a slow sender gives its place up, and goes on. */
const PATIENCE_MS = 2_000

/** Whose connection it is, and what the large payloads of all connections share. */
export interface FrameReading {
  readonly account: string
  readonly slots: SharedSlots<'account'>
  /** Of a message; `ws` refuses larger ones by their headers. */
  readonly mostBytes: number
  /** Whether others want nothing of the connection to be read. */
  readonly isPaused: () => boolean
  readonly patienceMs?: number
}

/** The large payloads that are gathered at a time, accounts in turn: of all accounts, and of one. */
export function frameSlots(): SharedSlots<'account'> {
  return new SharedSlots({ total: 4, shares: { account: 2 }, turnsOf: 'account' })
}

/**
 * Takes the masks off a client's frames while they come, leaving zeros in their place, which `ws` takes for no mask, and hands it large
 * payloads in one piece. By itself it does both when all of a message is there: 64 MiB held the event loop for half a second, and small
 * ones of many clients that end together as long. Of a payload for which there is no slot no more is read until there is one.
 * @param connection of a WebSocket whose `data` listener, and no other, is attached already
 */
export function readFramesEarly(connection: Duplex, reading: FrameReading): void {
  const frames = new MaskedFrames(reading.mostBytes)
  const turns = new LargePayloadTurns(connection, reading)
  const receivers = connection.listeners('data')
  connection.removeAllListeners('data')
  connection.on('data', (chunk: Buffer) => {
    const pieces = frames.take(chunk)
    // Of a connection that is gone `ws` reads the rest itself.
    if (connection.destroyed) return
    for (const piece of pieces) for (const receive of receivers) receive.call(connection, piece)
    turns.follow(frames.largePayload)
  })
}

/** The slots of one connection's large payloads, one after another. */
class LargePayloadTurns {
  readonly #connection: Duplex
  readonly #reading: FrameReading
  #payload: object | undefined
  #isWaiting = false
  #over = new AbortController()

  constructor(connection: Duplex, reading: FrameReading) {
    this.#connection = connection
    this.#reading = reading
    connection.once('close', () => this.#over.abort())
  }

  /** @param payload that is coming; another object for each, none where nothing large comes */
  follow(payload: object | undefined): void {
    if (payload !== this.#payload) {
      this.#over.abort()
      this.#over = new AbortController()
      this.#payload = payload
      if (this.#isWaiting) this.#goOn()
      if (payload !== undefined) void this.#gather(this.#over.signal)
    }
    // Whoever else paused the connection may have it go on meanwhile.
    if (this.#isWaiting) this.#connection.pause()
  }

  /** Holds a slot until the signal is aborted, or for as long as others have patience. */
  async #gather(signal: AbortSignal): Promise<void> {
    const { slots, account, patienceMs = PATIENCE_MS } = this.#reading
    this.#isWaiting = true
    const giveBack = await slots.take({ account }, signal).catch(() => undefined)
    if (giveBack === undefined || signal.aborted) return giveBack?.()
    const patience = setTimeout(giveBack, patienceMs)
    signal.addEventListener('abort', () => {
      clearTimeout(patience)
      giveBack()
    })
    this.#goOn()
  }

  #goOn(): void {
    this.#isWaiting = false
    if (!this.#reading.isPaused()) this.#connection.resume()
  }
}

/** The frames of one direction of a connection, as bytes that come in chunks of any size. */
export class MaskedFrames {
  readonly #mostBytes: number
  /** Bytes of the present frame's header that have come: two, those of its length, its mask. */
  #header = 0
  #headerLength = 2
  #isMasked = false
  #lengthBytes = 0
  /** Of the payload, that are still to come. */
  #left = 0
  /** The mask, its first byte for the next byte of the payload. */
  readonly #mask = new Uint8Array(MASK_BYTES)

  /** Of a large payload what has come. */
  #gathered: GrowingBytes | undefined

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Tells the large payload that is coming from others; none where nothing large is. */
  get largePayload(): object | undefined {
    return this.#gathered !== undefined && this.#gathered.total > LARGE_BYTES ? this.#gathered : undefined
  }

  /** Unmasks in place what has come. @returns the same bytes, but for those of large payloads, which come when they are whole */
  take(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = []
    // What of the chunk is handed on begins here.
    let from = 0
    for (let at = 0; at < chunk.length; ) {
      if (this.#header < this.#headerLength) {
        this.#readHeader(chunk, at)
        at += 1
        if (this.#header === this.#headerLength && this.#left > SMALL_BYTES && this.#left <= this.#mostBytes)
          this.#gathered = new GrowingBytes(this.#left)
      } else {
        const end = Math.min(chunk.length, at + this.#left)
        const payload = chunk.subarray(at, end)
        if (this.#isMasked) this.#unmaskRange(payload)
        if (this.#gathered !== undefined) {
          if (at > from) pieces.push(chunk.subarray(from, at))
          this.#gathered.add(payload)
          from = end
        }
        this.#left -= end - at
        at = end
      }
      if (this.#header === this.#headerLength && this.#left === 0) this.#nextFrame(pieces)
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from))
    return pieces
  }

  #nextFrame(pieces: Buffer[]): void {
    if (this.#gathered !== undefined) pieces.push(this.#gathered.whole)
    this.#gathered = undefined
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

/** Bytes of a known length, whose memory grows as they come: a length is said for nothing. */
class GrowingBytes {
  readonly total: number
  #bytes = new Uint8Array(SMALL_BYTES)
  #length = 0

  /** @param total more than `SMALL_BYTES` */
  constructor(total: number) {
    this.total = total
  }

  add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.total, Math.max(length, 2 * this.#bytes.length)))
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    this.#bytes.set(bytes, this.#length)
    this.#length = length
  }

  get whole(): Buffer {
    return Buffer.from(this.#bytes.buffer, 0, this.#length)
  }
}
