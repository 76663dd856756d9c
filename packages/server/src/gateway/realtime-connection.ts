import type { WebSocket } from 'ws'
import type { ChannelEvent, ConversationOptions, DirectChannel, DirectConversation } from '../channel/direct-channel.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { toErrorAnswer } from '../errors/error-answer.ts'
import { requestError, WireError } from '../errors/errors.ts'
import { stringifyJson } from '../protocol/json-text.ts'
import { validateInput } from '../validation/validate-input.ts'
import type { MessageMemory } from './message-memory.ts'
import { RealtimeBacklog } from './realtime-backlog.ts'
import { encodeOutput, type Frame, type FrameInput } from './realtime-frames.ts'
import type { OpenSocket } from './web-sockets.ts'

export interface RealtimeConnectionOptions {
  readonly endpoint: EndpointSchema
  readonly conversation: ConversationOptions
  /** @throws WireError 422 for an input whose URLs nobody fetches */
  readonly refuseUrls: (input: unknown) => Promise<void>
  /** What the messages take, from their first byte to their answer. */
  readonly memory: MessageMemory
  /** @throws WireError 422 for a message that cannot be read */
  readonly readFrame: (frame: Frame, signal: AbortSignal) => Promise<FrameInput>
  /** Inputs that may wait; the latest win. */
  readonly maxBuffering: number
  /** Seconds without an input after which the connection is closed. */
  readonly idleSeconds: number
  /** Told of errors that are no answer to an input. */
  readonly onDefect: (error: unknown) => void
}

const TIMEOUT_MESSAGE = { type: 'x-fal-error', error: 'TIMEOUT', reason: 'no inputs, reconnect when needed!' }
const NORMAL_CLOSURE = 1000

/**
 * One realtime socket: inputs in, one result per input out, in order, over one conversation that stays on its runner. An input goes out
 * when the one before has its result or leaves the device to it: so the newest that waits is drawn, and only one of a connection stands
 * in the runner's line, which is what makes it serve connections in turn.
 */
export class RealtimeConnection implements OpenSocket {
  readonly #socket: WebSocket
  readonly #channel: DirectChannel
  readonly #options: RealtimeConnectionOptions
  readonly #backlog: RealtimeBacklog
  readonly #gone = new AbortController()
  /** Settles when the last result has left this process: a slow reader holds up its own next result, and nobody else's. */
  #sent: Promise<void> = Promise.resolve()
  #conversation: Promise<DirectConversation> | undefined
  #idle: NodeJS.Timeout | undefined
  /** Inputs that are not answered yet. */
  #underway = 0
  /** Resolves when the socket is closed and everything behind it is let go. */
  readonly #done: Promise<void>

  constructor(socket: WebSocket, channel: DirectChannel, options: RealtimeConnectionOptions) {
    this.#socket = socket
    this.#channel = channel
    this.#options = options
    this.#backlog = new RealtimeBacklog(options.maxBuffering, (bytes) => options.memory.free(bytes))
    socket.on('message', (data, binary) => {
      clearTimeout(this.#idle)
      this.#backlog.push({ data: data as Buffer, binary })
    })
    socket.on('close', () => {
      this.#gone.abort()
      this.#backlog.close()
    })
    this.#done = this.#run()
  }

  /** Answers what it is working on and closes normally, so the client reconnects when it next has an input. */
  drain(): Promise<void> {
    this.#socket.removeAllListeners('message')
    this.#backlog.close()
    return this.#done
  }

  async #run(): Promise<void> {
    try {
      // Chooses a runner before the first input comes; without one the first input waits for it, or is told.
      this.#openConversation().catch(() => {})
      this.#watchIdle()
      let answered = Promise.resolve()
      for (let frame = await this.#backlog.next(); frame !== undefined; frame = await this.#backlog.next()) {
        const before = answered
        const { finishing, done } = this.#begin(frame, before)
        answered = done
        await Promise.race([finishing, answered])
        // One that is drawn and one that finishes; its result is on its way out when the next one finishes.
        await before
      }
      await answered
      await this.#sent
    } catch (error) {
      this.#options.onDefect(error)
    } finally {
      clearTimeout(this.#idle)
      this.#conversation?.then(
        (conversation) => conversation.close(),
        () => {},
      )
      this.#socket.close(NORMAL_CLOSURE)
    }
  }

  /** @param before settles when the answer to the input before has gone out */
  #begin(frame: Frame, before: Promise<void>): { readonly finishing: Promise<void>; readonly done: Promise<void> } {
    // Its bytes may be gone to another thread later.
    const { byteLength } = frame.data
    let onFinishing = () => {}
    const finishing = new Promise<void>((resolve) => {
      onFinishing = resolve
    })
    this.#underway += 1
    const done = this.#answer(frame, before, onFinishing)
      .catch((error) => {
        this.#options.onDefect(error)
        this.#socket.close()
      })
      .then(() => {
        this.#underway -= 1
        this.#options.memory.free(byteLength)
        this.#watchIdle()
      })
    return { finishing, done }
  }

  async #answer(frame: Frame, before: Promise<void>, onFinishing: () => void): Promise<void> {
    const message = await this.#answerTo(frame, onFinishing)
    await before
    if (message !== undefined) await this.#send(message)
  }

  /** @returns undefined where nobody is there any more to read it */
  async #answerTo(frame: Frame, onFinishing: () => void): Promise<string | Uint8Array | undefined> {
    let requestId: unknown
    try {
      const decoded = await this.#options.readFrame(frame, this.#gone.signal)
      requestId = decoded.requestId
      const input = validateInput(this.#options.endpoint.input, decoded.input)
      await this.#options.refuseUrls(input)
      const result = await this.#work(input, onFinishing)
      if (result.status >= 400) return stringifyJson(errorMessage(result.status, result.output, requestId))
      return encodeOutput(withRequestId(result.output, requestId), frame.binary)
    } catch (error) {
      if (this.#gone.signal.aborted) return undefined
      if (!(error instanceof WireError)) this.#options.onDefect(error)
      const { status, body } = toErrorAnswer(error)
      return stringifyJson(errorMessage(status, body, requestId))
    }
  }

  async #work(input: unknown, onFinishing: () => void): Promise<Extract<ChannelEvent, { type: 'result' }>> {
    const conversation = await (this.#conversation ?? this.#openConversation())
    for await (const event of conversation.send(input, this.#gone.signal)) {
      if (event.type === 'result') return event
      if (event.type === 'finishing') onFinishing()
    }
    throw requestError('runner_incomplete_response', 'The runner ended the conversation without a result')
  }

  #openConversation(): Promise<DirectConversation> {
    const opening = this.#channel.open(this.#options.conversation)
    this.#conversation = opening
    const forget = () => {
      if (this.#conversation === opening) this.#conversation = undefined
    }
    // A runner that drains or dies ends its conversations; the next input opens one elsewhere.
    opening.then((conversation) => conversation.closed).then(forget, forget)
    return opening
  }

  /** Waits for the message before this one to be written out, so at most two are held for a slow reader. */
  async #send(message: string | Uint8Array): Promise<void> {
    await this.#sent
    this.#sent = new Promise((resolve) => this.#socket.send(message, () => resolve()))
  }

  #watchIdle(): void {
    clearTimeout(this.#idle)
    if (this.#underway > 0) return
    this.#idle = setTimeout(() => {
      this.#socket.send(stringifyJson(TIMEOUT_MESSAGE))
      void this.drain()
    }, this.#options.idleSeconds * 1000)
  }
}

/**
 * The protocol's error message, always JSON text. `status_code`, `detail` and `request_id` are ours: the JS client shows
 * `error` and `reason` and keeps the rest in `body`.
 */
function errorMessage(status: number, body: unknown, requestId: unknown): unknown {
  const type = memberOf(body, 'error_type')
  const code = typeof type === 'string' ? type.toUpperCase() : codeOf(status)
  return {
    type: 'x-fal-error',
    error: code,
    reason: memberOf(body, 'message') ?? memberOf(body, 'detail') ?? 'Internal Server Error',
    status_code: status,
    detail: memberOf(body, 'detail'),
    request_id: requestId,
  }
}

/** `INTERNAL_ERROR` is this server's fault alone. */
function codeOf(status: number): string {
  if (status === 400 || status === 422) return 'VALIDATION_ERROR'
  return status < 500 ? 'BAD_REQUEST' : 'INTERNAL_ERROR'
}

/** Clients tell results apart by the `request_id` of their input. */
function withRequestId(output: unknown, requestId: unknown): unknown {
  if (requestId === undefined || typeof output !== 'object' || output === null) return output
  return memberOf(output, 'request_id') === undefined ? { ...output, request_id: requestId } : output
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && key in value ? Reflect.get(value, key) : undefined
}
