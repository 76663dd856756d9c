import type { WebSocket } from 'ws'
import { toErrorAnswer } from '../errors/error-answer.ts'
import { fieldError } from '../errors/errors.ts'
import type { ChannelEvent, ConversationOptions, DirectWork } from './direct-channel.ts'
import { FrameWriter } from './frame-writer.ts'
import { decodeFrames, decodeInput, type GatewayFrame, type RunnerFrame } from './frames.ts'
import { LongValues } from './long-values.ts'

interface ServerConversation {
  readonly options: ConversationOptions
  /** Settles when the conversation's next input may be worked on. */
  tail: Promise<void>
}

/** The runner's end of one gateway's socket: many conversations, each drawing from one input at a time. */
export class ServerConnection {
  readonly #socket: WebSocket
  readonly #run: (work: DirectWork) => Promise<void>
  readonly #writer: FrameWriter<RunnerFrame>
  readonly #conversations = new Map<number, ServerConversation>()
  readonly #works = new Map<number, ServerWork>()
  /** Of works whose input is still to come. */
  readonly #longValues = new Map<number, LongValues>()

  constructor(socket: WebSocket, run: (work: DirectWork) => Promise<void>) {
    this.#socket = socket
    this.#writer = new FrameWriter(socket)
    this.#run = run
    socket.on('message', (data) => this.#onMessage(data as Buffer))
    socket.on('error', () => socket.terminate())
    socket.on('close', () => {
      for (const work of this.#works.values()) work.cancel()
    })
  }

  #onMessage(data: Buffer): void {
    try {
      for (const frame of decodeFrames<GatewayFrame>(data)) this.#onFrame(frame)
    } catch {
      // 1002: protocol error. Whatever sent this cannot be answered.
      this.#socket.close(1002, 'not a frame of the direct channel')
    }
  }

  #onFrame(frame: GatewayFrame): void {
    switch (frame[0]) {
      case 'open':
        this.#conversations.set(frame[1], { options: frame[2], tail: Promise.resolve() })
        break
      case 'piece':
        this.#longValuesOf(frame[1]).add(frame[2], frame[3])
        break
      case 'send':
        this.#enqueue(frame[1], frame[2], frame[3])
        break
      case 'cancel':
        this.#longValues.delete(frame[1])
        this.#works.get(frame[1])?.cancel()
        break
      case 'ack':
        this.#works.get(frame[1])?.acknowledge()
        break
      case 'close':
        this.#conversations.delete(frame[1])
        break
    }
  }

  #longValuesOf(work: number): LongValues {
    const values = this.#longValues.get(work) ?? new LongValues()
    this.#longValues.set(work, values)
    return values
  }

  #enqueue(conversationNumber: number, number: number, input: Uint8Array): void {
    const conversation = this.#conversations.get(conversationNumber)
    if (conversation === undefined) throw new Error(`Expected an open conversation, found number ${conversationNumber}`)
    const work = new ServerWork(conversation.options, (event) => this.#writer.write(['event', number, event]))
    this.#works.set(number, work)
    const long = this.#longValues.get(number)
    this.#longValues.delete(number)
    conversation.tail = conversation.tail.then(() => {
      const done = work
        .run(() => readInput(input, long), this.#run)
        .then(() => {
          this.#works.delete(number)
        })
      return Promise.race([done, work.finishing])
    })
  }
}

/** How many partial outputs may be on their way to a reader. */
const PARTIAL_WINDOW = 8

/**
 * One input being worked on. A reader that is slower than the model gets the newest partial outputs and misses older
 * ones: they are previews, and the device must not wait for a slow socket.
 */
class ServerWork implements DirectWork {
  readonly conversation: ConversationOptions
  input: unknown
  readonly #send: (event: ChannelEvent) => void
  readonly #controller = new AbortController()
  /** Resolves if the device is handed on before the result. */
  readonly finishing: Promise<void>
  #underway = 0
  #newest: ChannelEvent | undefined
  #onFinishing = () => {}

  constructor(conversation: ConversationOptions, send: (event: ChannelEvent) => void) {
    this.conversation = conversation
    this.#send = send
    this.finishing = new Promise((resolve) => {
      this.#onFinishing = resolve
    })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  async run(read: () => unknown, run: (work: DirectWork) => Promise<void>): Promise<void> {
    try {
      this.input = read()
      await run(this)
    } catch (error) {
      const { status, headers, body } = toErrorAnswer(error)
      this.emit({ type: 'result', status, headers, output: body })
    }
  }

  cancel(): void {
    this.#controller.abort()
  }

  emit(event: ChannelEvent): void {
    if (event.type === 'partial' && this.#underway >= PARTIAL_WINDOW) {
      this.#newest = event
      return
    }
    if (event.type === 'finishing') this.#onFinishing()
    if (event.type === 'result') this.#flushNewest()
    if (event.type === 'partial') this.#underway += 1
    this.#send(event)
  }

  acknowledge(): void {
    this.#underway -= 1
    this.#flushNewest()
  }

  #flushNewest(): void {
    if (this.#newest === undefined) return
    this.#send(this.#newest)
    this.#newest = undefined
    this.#underway += 1
  }
}

function readInput(bytes: Uint8Array, long: LongValues | undefined): unknown {
  try {
    return decodeInput(bytes, long)
  } catch (error) {
    throw fieldError([], 'value_error', `the input cannot be read: ${error instanceof Error ? error.message : error}`)
  }
}
