import type { WebSocket } from 'ws'
import { REQUEST_ID } from '../protocol/headers.ts'
import { DEFAULT_ACCOUNT } from '../queue/request-queue.ts'
import { verifyKey } from './authentication.ts'
import type { GatewayDependencies, GatewayEnv } from './dependencies.ts'
import { MessageMemory } from './message-memory.ts'
import { hostNameOf, SURFACE_PREFIX, surfaceOfHost } from './surface.ts'
import type { Handshake, OpenSocket, SocketService } from './web-sockets.ts'

export type HttpOverWebSocketDependencies = Pick<GatewayDependencies, 'keys' | 'tokens' | 'config' | 'bounds' | 'log'>
/** The gateway's own HTTP API. */
export type Dispatch = (request: Request, env: GatewayEnv['Bindings']) => Response | Promise<Response>

/** Requests of one connection that may wait; beyond that nothing more is read from it. */
const MOST_WAITING = 16
/** Headers of the handshake that are about the connection and not about the requests on it. */
const CONNECTION_HEADERS = /^(connection|upgrade|host|content-.*|transfer-encoding|sec-websocket-.*)$/

/**
 * Sockets of the surface `ws` (`/ws/{id}`, Host `ws.fal.run`): every message is the body of a `POST /{id}` on the run surface,
 * answered in order by a text frame `{"type": "start", …}`, the body, and a text frame `{"type": "end", …}`.
 */
export function httpOverWebSocket(dispatch: Dispatch, dependencies: HttpOverWebSocketDependencies): SocketService {
  return {
    maxMessageBytes: dependencies.config.limits.jsonBodyBytes,
    serves: (path) => path.startsWith(`${SURFACE_PREFIX.ws}/`),
    async admit(handshake) {
      const { authorization } = handshake.headers
      // A token of the query is checked by the route, request by request.
      const hasToken = handshake.url.searchParams.has('fal_jwt_token')
      const key = !hasToken || authorization !== undefined ? await verifyKey(dependencies, authorization) : undefined
      const ask = (body: Buffer, signal: AbortSignal) => dispatch(requestOf(handshake, signal), { body })
      const { bounds, log } = dependencies
      const account = key?.account ?? DEFAULT_ACCOUNT
      return {
        account,
        converse: (socket, connection) => {
          const lease = bounds.bodies.lease(() => account)
          return new Connection(socket, { ask, log, memory: new MessageMemory(socket, connection, lease) })
        },
      }
    },
  }
}

/** The call that a message stands for, as if it had come to the run surface by itself; its body goes beside it, for a request would copy it. */
function requestOf(handshake: Handshake, signal: AbortSignal): Request {
  const host = handshake.headers.host ?? 'localhost'
  const byHostName = surfaceOfHost(hostNameOf(host)) !== undefined
  const id = handshake.path.slice(SURFACE_PREFIX.ws.length)
  const { protocol, search } = handshake.url
  const headers = new Headers()
  for (const [name, value] of Object.entries(handshake.headers)) {
    if (!CONNECTION_HEADERS.test(name) && value !== undefined) headers.set(name, String(value))
  }
  headers.set('host', byHostName ? host.replace(/^[^:]*/, 'fal.run') : host)
  headers.set('content-type', 'application/json')
  const url = `${protocol}//${host}${byHostName ? '' : SURFACE_PREFIX.run}${id}${search}`
  return new Request(url, { method: 'POST', headers, signal })
}

type Ask = (body: Buffer, signal: AbortSignal) => Response | Promise<Response>

interface ConnectionParts extends Pick<HttpOverWebSocketDependencies, 'log'> {
  readonly ask: Ask
  readonly memory: MessageMemory
}

/** One socket: messages in, an answer per message out, in order. */
class Connection implements OpenSocket {
  readonly #socket: WebSocket
  readonly #ask: Ask
  readonly #memory: MessageMemory
  readonly #log: HttpOverWebSocketDependencies['log']
  readonly #gone = new AbortController()
  #waiting = 0
  #answered: Promise<void> = Promise.resolve()

  constructor(socket: WebSocket, { ask, memory, log }: ConnectionParts) {
    this.#socket = socket
    this.#ask = ask
    this.#memory = memory
    this.#log = log
    socket.on('close', () => this.#gone.abort())
    socket.on('message', (data) => this.#take(data as Buffer))
  }

  drain(): Promise<void> {
    this.#socket.removeAllListeners('message')
    return this.#answered
  }

  #take(body: Buffer): void {
    this.#waiting += 1
    if (this.#waiting >= MOST_WAITING) this.#socket.pause()
    this.#answered = this.#answered.then(async () => {
      // The call holds its body itself.
      this.#memory.free(body.byteLength)
      if (!this.#gone.signal.aborted) await this.#answer(body).catch((error) => this.#fail(error))
      this.#waiting -= 1
      if (this.#waiting < MOST_WAITING && this.#socket.isPaused) this.#socket.resume()
    })
  }

  async #answer(body: Buffer): Promise<void> {
    const startedAt = performance.now()
    const response = await this.#ask(body, this.#gone.signal)
    const seconds = (performance.now() - startedAt) / 1000
    const { status, headers } = response
    const meta = { request_id: headers.get(REQUEST_ID) ?? '', status }
    await this.#send(JSON.stringify({ type: 'start', ...meta, headers: Object.fromEntries(headers) }))
    await this.#sendBody(response)
    await this.#send(JSON.stringify({ type: 'end', ...meta, time_to_first_byte_seconds: seconds }))
  }

  /** JSON in one text frame, which clients parse by itself; events as they come; everything else in binary frames. */
  async #sendBody(response: Response): Promise<void> {
    const type = response.headers.get('content-type') ?? ''
    if (/^application\/json\b/.test(type)) return this.#send(await response.text())
    const decoder = type.startsWith('text/') ? new TextDecoder() : undefined
    for await (const chunk of response.body ?? []) {
      const frame = decoder === undefined ? chunk : decoder.decode(chunk, { stream: true })
      if (frame.length > 0) await this.#send(frame)
    }
  }

  /** Waits until the message has left this process: a slow reader holds up its own answers. */
  #send(message: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(message, (error) => (error === undefined || error === null ? resolve() : reject(error)))
    })
  }

  /** An answer that broke off cannot be told from a whole one but by its missing end: nothing may follow it. */
  #fail(error: unknown): void {
    if (!this.#gone.signal.aborted) this.#log.error({ err: error }, 'an answer over a websocket broke off')
    this.#socket.terminate()
  }
}
