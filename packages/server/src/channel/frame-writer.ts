import { WebSocket } from 'ws'
import { encodeFrame, type GatewayFrame, type RunnerFrame } from './frames.ts'

/** Frames that would make a message larger than this go out at once. */
const LARGE_MESSAGE_BYTES = 1024 * 1024
/** How long a frame that nobody waits for may be kept back for a message to travel with. */
const LAZY_MILLISECONDS = 50

/**
 * Writes frames to a socket, those of one round of the event loop as one message. A sync run opens a conversation and sends its
 * input in one round, and under load many requests arrive in one; as messages of their own they cost a system call each,
 * the dearest part of the whole path.
 */
export class FrameWriter<F extends GatewayFrame | RunnerFrame> {
  readonly #socket: WebSocket
  #waiting: Uint8Array[] = []
  #bytes = 0
  #scheduled = false
  #lazy: NodeJS.Timeout | undefined

  constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** @throws when the frame cannot be encoded; nothing is sent of it then */
  write(frame: F): void {
    this.#add(frame)
    if (this.#bytes > LARGE_MESSAGE_BYTES) this.#flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      // Runs when everything that has arrived was handed out, before the loop waits for more.
      setImmediate(() => this.#flush())
    }
  }

  /** Writes a frame that may wait for others. */
  writeLazily(frame: F): void {
    this.#add(frame)
    this.#lazy ??= setTimeout(() => this.#flush(), LAZY_MILLISECONDS).unref()
  }

  /** Writes a frame as a message of its own, behind those that wait; resolves when the system has taken it, or the socket is gone. */
  writeAlone(frame: F): Promise<void> {
    this.#flush()
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.resolve()
    return new Promise((resolve) => this.#socket.send(encodeFrame(frame), () => resolve()))
  }

  #add(frame: F): void {
    const bytes = encodeFrame(frame)
    this.#waiting.push(bytes)
    this.#bytes += bytes.byteLength
  }

  #flush(): void {
    clearTimeout(this.#lazy)
    this.#lazy = undefined
    this.#scheduled = false
    const [first, ...others] = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    // A socket on its way out drops what is sent to it; its 'close' ends every work on it.
    if (first === undefined || this.#socket.readyState !== WebSocket.OPEN) return
    this.#socket.send(others.length === 0 ? first : Buffer.concat([first, ...others]), () => {})
  }
}
