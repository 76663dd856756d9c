import type { WebSocket } from 'ws'
import type { BodyLease } from './body-lease.ts'

/** RFC 6455, 7.4.1 and its registry: try again later. */
const TRY_AGAIN_LATER = 1013

/**
 * What the messages of one socket take of this process: the one that is still coming, and those that are not answered yet. A socket that
 * wants more than there is room for is closed: a message that is half here cannot be refused otherwise.
 */
export class MessageMemory {
  readonly #socket: WebSocket
  readonly #lease: BodyLease
  #coming = 0
  #unanswered = 0

  /** @param bytesFrom gives the bytes of the connection as they come */
  constructor(
    socket: WebSocket,
    bytesFrom: { on(event: 'data', listener: (chunk: Uint8Array) => void): unknown },
    lease: BodyLease,
  ) {
    this.#socket = socket
    this.#lease = lease
    bytesFrom.on('data', ({ byteLength }) => {
      this.#coming += byteLength
      this.#account()
    })
    socket.on('message', (data: Buffer) => {
      this.#coming = 0
      this.#unanswered += data.byteLength
      this.#account()
    })
    socket.once('close', () => lease.release())
  }

  /** A message of so many bytes was answered, or is not going to be. */
  free(bytes: number): void {
    this.#unanswered -= bytes
    this.#account()
  }

  #account(): void {
    this.#lease.release()
    if (this.#socket.readyState !== this.#socket.OPEN) return
    try {
      this.#lease.hold(this.#coming + this.#unanswered)
    } catch {
      this.#socket.close(TRY_AGAIN_LATER, 'too many bytes are underway: try again later')
      // The other side may go on sending before it reads that.
      setImmediate(() => this.#socket.terminate())
    }
  }
}
