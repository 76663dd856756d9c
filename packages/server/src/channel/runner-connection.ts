import { WebSocket } from 'ws'
import { requestError } from '../errors/errors.ts'
import type { RunnerAdvertisement } from '../queue/request-queue.ts'
import { awakeInterval } from './awake-interval.ts'
import { startTimeoutError } from './deadline.ts'
import type { ConversationOptions } from './direct-channel.ts'
import { FrameWriter } from './frame-writer.ts'
import {
  CHANNEL_PROTOCOL,
  decodeFrames,
  type EncodedInput,
  encodeInput,
  type GatewayFrame,
  MAX_FRAME_BYTES,
  type RunnerFrame,
} from './frames.ts'
import { piecesOfLong } from './long-values.ts'
import { WorkEvents } from './work-events.ts'

const CONNECT_TIMEOUT_MILLISECONDS = 5_000
const PING_INTERVAL_MILLISECONDS = 5_000

export interface WorkLimits {
  /** Aborts the work. */
  readonly signal: AbortSignal
  /** The work fails when it did not start in the time that remains of `seconds`. */
  readonly startTimeout: { readonly seconds: number; readonly remainingMs: number } | undefined
}

/** The gateway's end of the socket to one runner. Every conversation on that runner shares it. */
export class RunnerConnection {
  readonly runnerId: string
  readonly #socket: WebSocket
  readonly #writer: FrameWriter<GatewayFrame>
  readonly #works = new Map<number, WorkEvents>()
  readonly #conversations = new Map<number, () => void>()
  readonly #onGone: () => void
  #counter = 0
  #draining = false
  #answered = true
  readonly #ping: NodeJS.Timeout

  /** @param onGone called once, when nothing new may be sent here any more */
  private constructor(runnerId: string, socket: WebSocket, onGone: () => void) {
    this.runnerId = runnerId
    this.#socket = socket
    this.#writer = new FrameWriter(socket)
    this.#onGone = onGone
    socket.on('message', (data) => this.#onMessage(data as Buffer))
    socket.on('pong', () => {
      this.#answered = true
    })
    socket.on('close', () => this.#onClose())
    this.#ping = awakeInterval(PING_INTERVAL_MILLISECONDS, (stoodStill) => this.#checkAlive(stoodStill)).unref()
  }

  /** @throws when the runner does not answer in time or refuses the token */
  static async connect(runner: RunnerAdvertisement, onGone: () => void): Promise<RunnerConnection> {
    const socket = new WebSocket(runner.address, CHANNEL_PROTOCOL, {
      headers: { authorization: `Bearer ${runner.channelToken}` },
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      // Masks keep a page's script from writing what a proxy takes for a request (RFC 6455, 10.3). Here are neither, and JavaScript
      // takes 20 ms for 8 MB, on each side; a mask of zeros is none.
      generateMask: (mask) => mask.fill(0),
      handshakeTimeout: CONNECT_TIMEOUT_MILLISECONDS,
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.on('error', reject)
    })
    return new RunnerConnection(runner.runnerId, socket, onGone)
  }

  /** Works that are not answered yet. */
  get underway(): number {
    return this.#works.size
  }

  get conversations(): number {
    return this.#conversations.size
  }

  /** @param onClosed called when the conversation can take no further input */
  openConversation(options: ConversationOptions, onClosed: () => void): number {
    const conversation = ++this.#counter
    this.#conversations.set(conversation, onClosed)
    this.#writer.write(['open', conversation, options])
    return conversation
  }

  closeConversation(conversation: number): void {
    if (this.#conversations.delete(conversation)) this.#writer.writeLazily(['close', conversation])
    this.#hangUpIfDrained()
  }

  /**
   * @throws WireError 422 for an input that cannot be sent
   */
  send(conversation: number, input: unknown, limits: WorkLimits): WorkEvents {
    const encoded = encodeInput(input)
    const work = ++this.#counter
    const { signal, startTimeout } = limits
    const events: WorkEvents = new WorkEvents({
      started: () => clearTimeout(timer),
      taken: () => this.#writer.write(['ack', work]),
      abandoned: () => this.#writer.write(['cancel', work]),
      ended: () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', abandon)
        this.#works.delete(work)
        this.#hangUpIfDrained()
      },
    })
    // The reader is told at once, whatever the runner still does.
    const abandon = () => events.abandon(requestError('client_cancelled', 'The request was cancelled', signal.reason))
    const timer =
      startTimeout &&
      setTimeout(() => events.abandon(startTimeoutError(startTimeout.seconds)), startTimeout.remainingMs)
    this.#works.set(work, events)
    if (encoded.long.length === 0) this.#writer.write(['send', conversation, work, encoded.bytes])
    else void this.#sendInPieces(conversation, work, encoded)
    if (signal.aborted) abandon()
    else signal.addEventListener('abort', abandon, { once: true })
    return events
  }

  close(): void {
    this.#socket.terminate()
  }

  /** Others have their turn between two pieces, and what is over on the way ends there: the runner was told. */
  async #sendInPieces(conversation: number, work: number, { bytes, long }: EncodedInput): Promise<void> {
    for (const [index, value] of long.entries()) {
      for (const piece of piecesOfLong(value)) {
        if (!this.#works.has(work)) break
        await this.#writer.writeAlone(['piece', work, index, piece])
      }
    }
    if (this.#works.has(work)) this.#writer.write(['send', conversation, work, bytes])
    // A piece may have gone out behind the word that the work is over.
    else this.#writer.write(['cancel', work])
  }

  #onMessage(data: Buffer): void {
    try {
      for (const frame of decodeFrames<RunnerFrame>(data)) {
        if (frame[0] === 'event') this.#works.get(frame[1])?.push(frame[2])
        else this.#drain()
      }
    } catch {
      this.#socket.close(1002, 'not a frame of the direct channel')
    }
  }

  /** A runner that is going: its conversations end as soon as they are idle, then the socket. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    clearInterval(this.#ping)
    this.#onGone()
    for (const onClosed of this.#conversations.values()) onClosed()
    this.#hangUpIfDrained()
  }

  #hangUpIfDrained(): void {
    if (this.#draining && this.#works.size === 0) this.#socket.close(1000)
  }

  #onClose(): void {
    clearInterval(this.#ping)
    if (!this.#draining) this.#onGone()
    const lost = requestError('runner_disconnected', 'The runner disconnected before the request was answered')
    for (const events of [...this.#works.values()]) events.fail(lost)
    for (const onClosed of this.#conversations.values()) onClosed()
    this.#conversations.clear()
  }

  /** A machine that vanished never closes its sockets: two unanswered pings do. */
  #checkAlive(stoodStill: boolean): void {
    if (this.#answered || stoodStill) this.#socket.ping()
    else this.#socket.terminate()
    this.#answered = false
  }
}
