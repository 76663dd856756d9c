import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { endsWithin } from '../channel/deadline.ts'
import type { SessionOptions } from '../channel/direct-channel.ts'
import { WireError } from '../errors/errors.ts'
import { OBJECT_LIFECYCLE, RUNNER_HINT } from '../protocol/headers.ts'
import { createRequestId } from '../protocol/request-id.ts'
import { DEFAULT_ACCOUNT } from '../queue/request-queue.ts'
import { parseLifecycle } from '../storage/lifecycle.ts'
import { verifyKey, verifyToken } from './authentication.ts'
import type { GatewayDependencies } from './dependencies.ts'
import { refuseUnfetchableUrls } from './input-urls.ts'
import type { VerifiedKey } from './key-store.ts'
import { foreignOrigin, isOriginAllowed } from './origin-policy.ts'
import { publicUrlsOf } from './public-urls.ts'
import { RealtimeConnection } from './realtime-connection.ts'
import { type RealtimeTarget, requireRealtimeTarget } from './realtime-target.ts'
import { terminateSilent } from './silent-sockets.ts'
import { SURFACE_PREFIX } from './surface.ts'
import { refuseUpgrade, upgradePath, upgradeUrl } from './upgrade.ts'

export type RealtimeDependencies = Pick<
  GatewayDependencies,
  'channel' | 'catalogue' | 'keys' | 'tokens' | 'config' | 'metrics' | 'log' | 'weights'
>

export interface RealtimeSettings {
  /** Inputs that wait when the client does not say; 2 when absent, which the clients recommend. */
  readonly defaultBuffering?: number
  /** Seconds without an input before a connection is closed; 300 when absent. */
  readonly idleSeconds?: number
  /** Largest message of a client; 64 MiB when absent. */
  readonly maxMessageBytes?: number
  /** Seconds between pings; a client that answers none for two of them is gone. 20 when absent. */
  readonly pingSeconds?: number
}

export interface Realtime {
  /** Lets every connection finish what it is working on, at most `seconds`, and closes them. */
  close(seconds: number): Promise<void>
}

/** Whose a socket is; without a key in no-key mode. */
type SocketHolder = Pick<VerifiedKey, 'account'> & Partial<Pick<VerifiedKey, 'keyId'>>

const LARGEST_BUFFERING = 60
const UNAUTHORIZED_MESSAGE = '{"status":"error","error":"Unauthorized"}'
/** RFC 6455, 7.4.1. */
const POLICY_VIOLATION = 1008
const GOING_AWAY = 1001

/** Answers WebSocket upgrades of `server` but those to the surface `ws`: `/{id}/realtime`, `/{id}/ws` of the run surface. */
export function attachRealtime(
  server: Pick<Server, 'on' | 'off'>,
  dependencies: RealtimeDependencies,
  settings: RealtimeSettings = {},
): Realtime {
  const realtime = new RealtimeServer(dependencies, settings)
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!upgradePath(request, dependencies.config.publicUrl).startsWith(`${SURFACE_PREFIX.ws}/`))
      void realtime.upgrade(request, socket, head)
  }
  server.on('upgrade', onUpgrade)
  return {
    async close(seconds) {
      server.off('upgrade', onUpgrade)
      await realtime.close(seconds)
    },
  }
}

class RealtimeServer {
  readonly #dependencies: RealtimeDependencies
  readonly #settings: RealtimeSettings
  readonly #sockets: WebSocketServer
  readonly #connections = new Map<WebSocket, RealtimeConnection>()
  readonly #stopPinging: () => void

  constructor(dependencies: RealtimeDependencies, settings: RealtimeSettings) {
    this.#dependencies = dependencies
    this.#settings = settings
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: settings.maxMessageBytes ?? 64 * 1024 * 1024,
      // Pictures do not compress, and a compressor costs 300 KB per socket.
      perMessageDeflate: false,
    })
    this.#stopPinging = terminateSilent(this.#sockets, settings.pingSeconds ?? 20)
  }

  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // A client that hangs up during the checks below must not end the process.
    socket.on('error', () => socket.destroy())
    try {
      const { origin } = request.headers
      if (!isOriginAllowed(origin, this.#dependencies.config)) throw foreignOrigin(origin, this.#dependencies.config)
      const url = upgradeUrl(request)
      const target = requireRealtimeTarget(
        this.#dependencies.catalogue,
        upgradePath(request, this.#dependencies.config.publicUrl),
      )
      const holder = await this.#authenticate(request, url, target)
      const session = holder === undefined ? undefined : this.#sessionOptions(request, target, holder)
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('error', () => webSocket.terminate())
        if (session === undefined) return refuseAccess(webSocket)
        this.#accept(webSocket, target, session, bufferingOf(url))
      })
    } catch (error) {
      if (!(error instanceof WireError)) this.#dependencies.log.error({ err: error }, 'realtime handshake failed')
      await refuseUpgrade(socket, error)
    }
  }

  async close(seconds: number): Promise<void> {
    this.#stopPinging()
    for (const connection of this.#connections.values()) connection.drain()
    const closed = [...this.#connections.keys()].map((webSocket) => once(webSocket, 'close'))
    await endsWithin(Promise.all(closed), seconds)
    for (const webSocket of this.#connections.keys()) {
      webSocket.close(GOING_AWAY, 'the server is going away')
      webSocket.terminate()
    }
    this.#sockets.close()
  }

  /**
   * @returns `undefined` for a token that opens nothing: told by a message after the handshake, the one place where a
   *   browser's script sees it
   * @throws WireError 401 for a bad Authorization header
   */
  async #authenticate(request: IncomingMessage, url: URL, target: RealtimeTarget): Promise<SocketHolder | undefined> {
    const dependencies = this.#dependencies
    if (dependencies.keys === undefined) return { account: DEFAULT_ACCOUNT }
    const token = url.searchParams.get('fal_jwt_token')
    const { authorization } = request.headers
    if (authorization === undefined)
      return token === null ? undefined : await verifyToken(dependencies, token, target.application)
    return (await verifyKey(dependencies, authorization)) ?? { account: DEFAULT_ACCOUNT }
  }

  #accept(webSocket: WebSocket, target: RealtimeTarget, session: SessionOptions, buffering: number | undefined): void {
    const { channel, metrics, log } = this.#dependencies
    const connection = new RealtimeConnection(webSocket, channel, {
      endpoint: target.endpoint,
      refuseUrls: (input) => refuseUnfetchableUrls(this.#dependencies, target.endpoint, input),
      session,
      maxBuffering: buffering ?? this.#settings.defaultBuffering ?? 2,
      idleSeconds: this.#settings.idleSeconds ?? 300,
      onDefect: (error) => log.error({ err: error, requestId: session.requestId }, 'a realtime connection failed'),
    })
    metrics.openStreams.inc({ kind: 'realtime' })
    this.#connections.set(webSocket, connection)
    webSocket.once('close', () => {
      this.#connections.delete(webSocket)
      metrics.openStreams.dec({ kind: 'realtime' })
    })
  }

  #sessionOptions(request: IncomingMessage, target: RealtimeTarget, holder: SocketHolder): SessionOptions {
    const header = (name: string) => {
      const value = request.headers[name]
      return Array.isArray(value) ? value[0] : value
    }
    const scheme = request.socket instanceof TLSSocket ? 'https' : 'http'
    const url = `${scheme}://${request.headers.host ?? 'localhost'}/`
    const lifecycle = header(OBJECT_LIFECYCLE)
    parseLifecycle(lifecycle)
    const hint = header(RUNNER_HINT)
    return {
      requestId: createRequestId(),
      endpointId: target.endpoint.id,
      filesUrl: publicUrlsOf({ url, header }, this.#dependencies.config.publicUrl).cdn,
      // A result per input: an intermediate output would be taken for one.
      streaming: false,
      inlineBytes: true,
      account: holder.account,
      ...(holder.keyId === undefined ? {} : { keyId: holder.keyId }),
      ...(lifecycle === undefined ? {} : { objectLifecycle: lifecycle }),
      ...(hint === undefined ? {} : { runnerHint: hint }),
    }
  }
}

/** `max_buffering` of the query, 1 to 60. */
function bufferingOf(url: URL): number | undefined {
  const buffering = Number.parseInt(url.searchParams.get('max_buffering') ?? '', 10)
  return Number.isNaN(buffering) ? undefined : Math.min(Math.max(buffering, 1), LARGEST_BUFFERING)
}

function refuseAccess(webSocket: WebSocket): void {
  webSocket.send(UNAUTHORIZED_MESSAGE)
  webSocket.close(POLICY_VIOLATION, 'Unauthorized')
}
