import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { endsWithin } from '../channel/deadline.ts'
import { WireError } from '../errors/errors.ts'
import { REQUEST_ID } from '../protocol/headers.ts'
import { verifyKey } from './authentication.ts'
import type { GatewayDependencies } from './dependencies.ts'
import { foreignOrigin, isOriginAllowed } from './origin-policy.ts'
import { terminateSilent } from './silent-sockets.ts'
import { hostNameOf, SURFACE_PREFIX, surfaceOfHost } from './surface.ts'
import { refuseUpgrade, upgradePath, upgradeUrl } from './upgrade.ts'

export type HttpOverWebSocketDependencies = Pick<GatewayDependencies, 'keys' | 'tokens' | 'config' | 'log'>
/** The gateway's own HTTP API. */
export type Dispatch = (request: Request) => Response | Promise<Response>

export interface HttpOverWebSocket {
  /** Lets every connection answer what it has been asked, at most `seconds`, and closes them. */
  close(seconds: number): Promise<void>
}

/** Requests of one connection that may wait; beyond that nothing more is read from it. */
const MOST_WAITING = 16
const PING_SECONDS = 20
/** RFC 6455, 7.4.1. */
const GOING_AWAY = 1001
/** Headers of the handshake that are about the connection and not about the requests on it. */
const CONNECTION_HEADERS = /^(connection|upgrade|host|content-.*|transfer-encoding|sec-websocket-.*)$/

/**
 * Answers WebSocket upgrades of `server` on the surface `ws` (`/ws/{id}`, Host `ws.fal.run`): every message is the body of a
 * `POST /{id}` on the run surface, answered in order by a text frame `{"type": "start", …}`, the body, and a text frame
 * `{"type": "end", …}`.
 */
export function attachHttpOverWebSocket(
  server: Pick<Server, 'on' | 'off'>,
  dispatch: Dispatch,
  dependencies: HttpOverWebSocketDependencies,
  { pingSeconds = PING_SECONDS }: { readonly pingSeconds?: number | undefined } = {},
): HttpOverWebSocket {
  const connections = new Set<Connection>()
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: dependencies.config.limits.jsonBodyBytes,
    perMessageDeflate: false,
  })
  const stopPinging = terminateSilent(sockets, pingSeconds)
  const onUpgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = upgradePath(request, dependencies.config.publicUrl)
    if (!path.startsWith(`${SURFACE_PREFIX.ws}/`)) return
    // A client that hangs up during the checks below must not end the process.
    socket.on('error', () => socket.destroy())
    try {
      await admit(request, dependencies)
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        const ask = (body: Buffer, signal: AbortSignal) => dispatch(requestOf(request, path, body, signal))
        const connection = new Connection(webSocket, ask, dependencies.log)
        connections.add(connection)
        webSocket.once('close', () => connections.delete(connection))
      })
    } catch (error) {
      if (!(error instanceof WireError)) dependencies.log.error({ err: error }, 'websocket handshake failed')
      await refuseUpgrade(socket, error)
    }
  }
  const listener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void onUpgrade(request, socket, head)
  server.on('upgrade', listener)
  return {
    async close(seconds) {
      server.off('upgrade', listener)
      stopPinging()
      await Promise.all([...connections].map((connection) => connection.drain(seconds)))
      sockets.close()
    },
  }
}

/**
 * Refuses the handshake of a foreign page and of a caller without a valid key. A token of the query is checked by the
 * route, request by request.
 * @throws WireError 401, 403
 */
async function admit(request: IncomingMessage, dependencies: HttpOverWebSocketDependencies): Promise<void> {
  const { origin, authorization } = request.headers
  if (!isOriginAllowed(origin, dependencies.config)) throw foreignOrigin(origin, dependencies.config)
  const hasToken = upgradeUrl(request).searchParams.has('fal_jwt_token')
  if (!hasToken || authorization !== undefined) await verifyKey(dependencies, authorization)
}

/** The call that a message stands for, as if it had come to the run surface by itself. */
function requestOf(handshake: IncomingMessage, path: string, body: Buffer, signal: AbortSignal): Request {
  const host = handshake.headers.host ?? 'localhost'
  const scheme = handshake.socket instanceof TLSSocket ? 'https' : 'http'
  const byHostName = surfaceOfHost(hostNameOf(host)) !== undefined
  const id = path.slice(SURFACE_PREFIX.ws.length)
  const { search } = upgradeUrl(handshake)
  const headers = new Headers()
  for (const [name, value] of Object.entries(handshake.headers)) {
    if (!CONNECTION_HEADERS.test(name) && value !== undefined) headers.set(name, String(value))
  }
  headers.set('host', byHostName ? host.replace(/^[^:]*/, 'fal.run') : host)
  headers.set('content-type', 'application/json')
  const url = `${scheme}://${host}${byHostName ? '' : SURFACE_PREFIX.run}${id}${search}`
  return new Request(url, { method: 'POST', headers, body: new Uint8Array(body), signal })
}

type Ask = (body: Buffer, signal: AbortSignal) => Response | Promise<Response>

/** One socket: messages in, an answer per message out, in order. */
class Connection {
  readonly #socket: WebSocket
  readonly #ask: Ask
  readonly #log: HttpOverWebSocketDependencies['log']
  readonly #gone = new AbortController()
  #waiting = 0
  #answered: Promise<void> = Promise.resolve()

  constructor(socket: WebSocket, ask: Ask, log: HttpOverWebSocketDependencies['log']) {
    this.#socket = socket
    this.#ask = ask
    this.#log = log
    socket.on('error', () => socket.terminate())
    socket.on('close', () => this.#gone.abort())
    socket.on('message', (data) => this.#take(data as Buffer))
  }

  /** Takes nothing more, answers what waits and closes. */
  async drain(seconds: number): Promise<void> {
    this.#socket.removeAllListeners('message')
    await endsWithin(this.#answered, seconds)
    this.#socket.close(GOING_AWAY, 'the server is going away')
    this.#socket.terminate()
  }

  #take(body: Buffer): void {
    this.#waiting += 1
    if (this.#waiting >= MOST_WAITING) this.#socket.pause()
    this.#answered = this.#answered.then(async () => {
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
