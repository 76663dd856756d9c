import type { Frame } from './realtime-frames.ts'

/** Bytes that one connection's waiting frames may hold, whatever their number. */
const MAX_BYTES = 128 * 1024 * 1024

/**
 * Frames of one connection that wait to be worked on. The latest win: when more wait than the client asked for, the
 * oldest is dropped, for a picture of an old brush stroke is of no use to anyone.
 */
export class RealtimeBacklog {
  readonly #limit: number
  readonly #onDrop: (bytes: number) => void
  readonly #frames: Frame[] = []
  #bytes = 0
  #closed = false
  #wake: (() => void) | undefined

  /** @param onDrop told of the bytes of a frame that nobody is going to work on */
  constructor(limit: number, onDrop: (bytes: number) => void) {
    this.#limit = limit
    this.#onDrop = onDrop
  }

  push(frame: Frame): void {
    this.#frames.push(frame)
    this.#bytes += frame.data.byteLength
    while (this.#frames.length > this.#limit || (this.#bytes > MAX_BYTES && this.#frames.length > 1)) {
      this.#onDrop(this.#shift()?.data.byteLength ?? 0)
    }
    this.#wake?.()
  }

  /** The oldest frame that waits, or the next to come; `undefined` once closed and empty. */
  async next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#wake = undefined
    return this.#shift()
  }

  /** No frame comes any more; those that wait are still handed out. */
  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  #shift(): Frame | undefined {
    const frame = this.#frames.shift()
    this.#bytes -= frame?.data.byteLength ?? 0
    return frame
  }
}
