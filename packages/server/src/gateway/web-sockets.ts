import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { endsWithin } from '../channel/deadline.ts'
import { WireError } from '../errors/errors.ts'
import type { GatewayDependencies } from './dependencies.ts'
import { readFramesEarly } from './early-frames.ts'
import { rawErrorResponse } from './error-response.ts'
import { foreignOrigin, isOriginAllowed } from './origin-policy.ts'
import { terminateSilent } from './silent-sockets.ts'
import { routedPath, withoutPrefix } from './surface.ts'

/** A request to open a WebSocket. */
export interface Handshake {
  /** The path by which it is routed, its surface in front. */
  readonly path: string
  /** As the client asked for it, with `http` or `https`. */
  readonly url: URL
  readonly headers: IncomingMessage['headers']
}

/** An open socket, as the protocol that is spoken on it. */
export interface OpenSocket {
  /** Takes nothing more; resolves when what was taken is answered. */
  drain(): Promise<void>
}

/** A handshake that is accepted. */
export interface Admission {
  /** Whose socket it is. */
  readonly account: string
  /** Takes the open socket over; returns nothing when it has closed it. */
  readonly converse: (socket: WebSocket, connection: Duplex) => OpenSocket | undefined
}

/** One protocol over WebSockets. */
export interface SocketService {
  /** Largest message of a client. */
  readonly maxMessageBytes: number
  serves(path: string): boolean
  /**
   * Checks a handshake.
   * @throws WireError that refuses the handshake
   */
  admit(handshake: Handshake): Promise<Admission>
}

export interface WebSockets {
  /** Lets what was asked be answered, at most `seconds`, and closes the sockets. */
  close(seconds: number): Promise<void>
}

/** RFC 6455, 7.4.1. */
const GOING_AWAY = 1001
/** What a client may take to answer a close frame. */
const GOODBYE_SECONDS = 2

/**
 * Answers the WebSocket handshakes of `server`, each by the first service that serves its path.
 * @param pingSeconds between pings; a client that answers none for two of them is gone
 */
export function attachWebSockets(
  server: Pick<Server, 'on' | 'off'>,
  services: readonly SocketService[],
  { config, log, bounds }: Pick<GatewayDependencies, 'config' | 'log' | 'bounds'>,
  { pingSeconds = 20 }: { readonly pingSeconds?: number | undefined } = {},
): WebSockets {
  const openSockets = new Map<WebSocket, OpenSocket>()
  // Pictures do not compress, and a compressor costs 300 KB per socket.
  const listeners = services.map((service) => ({
    service,
    sockets: new WebSocketServer({ noServer: true, maxPayload: service.maxMessageBytes, perMessageDeflate: false }),
  }))
  const pings = listeners.map(({ sockets }) => terminateSilent(sockets, pingSeconds))
  const open = async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A client that hangs up during the checks below must not end the process.
    socket.on('error', () => socket.destroy())
    try {
      const { origin } = request.headers
      if (!isOriginAllowed(origin, config)) throw foreignOrigin(origin, config)
      const handshake = readHandshake(request, config.publicUrl)
      const listener = listeners.find(({ service }) => service.serves(handshake.path))
      if (listener === undefined) throw new WireError(404, 'Not Found')
      const { account, converse } = await listener.service.admit(handshake)
      listener.sockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('error', () => webSocket.terminate())
        readFramesEarly(socket, {
          account,
          slots: bounds.frames,
          mostBytes: listener.service.maxMessageBytes,
          isPaused: () => webSocket.isPaused,
        })
        const opened = converse(webSocket, socket)
        if (opened === undefined) return
        openSockets.set(webSocket, opened)
        webSocket.once('close', () => openSockets.delete(webSocket))
      })
    } catch (err) {
      if (!(err instanceof WireError)) log.error({ err }, 'a websocket handshake failed')
      // As any other request.
      socket.end(rawErrorResponse(err))
    }
  }
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void open(request, socket, head)
  server.on('upgrade', onUpgrade)
  return {
    async close(seconds) {
      server.off('upgrade', onUpgrade)
      for (const stop of pings) stop()
      await Promise.all([...openSockets].map(([socket, opened]) => end(socket, opened, seconds)))
      for (const { sockets } of listeners) sockets.close()
    },
  }
}

async function end(socket: WebSocket, opened: OpenSocket, seconds: number): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const isAnswered = await endsWithin(opened.drain(), seconds)
  socket.close(GOING_AWAY, 'the server is going away')
  if (isAnswered) await endsWithin(closed, Math.min(seconds, GOODBYE_SECONDS))
  socket.terminate()
}

/** @throws WireError 400 for a request target that is no URL */
function readHandshake({ url = '/', headers, socket }: IncomingMessage, publicUrl: string | undefined): Handshake {
  const base = `${socket instanceof TLSSocket ? 'https' : 'http'}://${headers.host ?? 'localhost'}`
  if (!URL.canParse(url, base)) throw new WireError(400, 'Bad Request')
  const asked = new URL(url, base)
  const forwarded = headers['x-forwarded-prefix']
  const path = withoutPrefix(asked.pathname, publicUrl, forwarded === undefined ? undefined : String(forwarded))
  return { path: routedPath(headers.host ?? '', path), url: asked, headers }
}
