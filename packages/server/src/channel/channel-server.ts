import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { endsWithin } from './deadline.ts'
import type { DirectWork } from './direct-channel.ts'
import { CHANNEL_PROTOCOL, encodeFrame, MAX_FRAME_BYTES } from './frames.ts'
import { ServerConnection } from './server-connection.ts'

export interface ChannelServerOptions {
  /** Interface to listen on; `127.0.0.1` when absent. */
  readonly host?: string
  /** 0 or absent: any free port. */
  readonly port?: number
  /** Name or address under which gateways reach this runner; the listening address when absent. */
  readonly advertisedHost?: string
  /** Shared secret that a gateway must present. */
  readonly token: string
  /** Works on one input; a conversation's inputs come one after the other, the next once one is done or finishing. */
  readonly run: (work: DirectWork) => Promise<void>
}

export interface ChannelServer {
  /** `ws://127.0.0.1:41234` */
  readonly address: string
  /** Asks every gateway to send nothing new; resolves when all have hung up, or after `seconds`. */
  drain(seconds: number): Promise<void>
  close(): Promise<void>
}

/** Listens for gateways and hands their works to `run`. */
export async function createChannelServer(options: ChannelServerOptions): Promise<ChannelServer> {
  const http = createServer((_request, response) => response.writeHead(426).end())
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => offered.has(CHANNEL_PROTOCOL) && CHANNEL_PROTOCOL,
  })
  const connections = new Map<WebSocket, ServerConnection>()
  let draining = false

  http.on('upgrade', (request, socket, head) => {
    if (!bearsToken(request, options.token)) return refuse(socket, '401 Unauthorized')
    if (draining) return refuse(socket, '503 Service Unavailable')
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      connections.set(webSocket, new ServerConnection(webSocket, options.run))
      webSocket.once('close', () => connections.delete(webSocket))
    })
  })
  const host = options.host ?? '127.0.0.1'
  const port = await listen(http, host, options.port ?? 0)

  return {
    address: `ws://${bracketed(options.advertisedHost ?? host)}:${port}`,
    async drain(seconds) {
      draining = true
      await endsWithin(Promise.all([...connections.keys()].map(announceDraining)), seconds)
    },
    async close() {
      for (const webSocket of connections.keys()) webSocket.terminate()
      sockets.close()
      await new Promise((resolve) => {
        http.close(resolve)
        http.closeAllConnections()
      })
    },
  }
}

function announceDraining(webSocket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    webSocket.once('close', () => resolve())
    if (webSocket.readyState === webSocket.CLOSED) resolve()
    else webSocket.send(encodeFrame(['draining']), () => {})
  })
}

function bearsToken(request: IncomingMessage, token: string): boolean {
  return timingSafeEqual(sha256(request.headers.authorization ?? ''), sha256(`Bearer ${token}`))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

async function listen(http: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(port, host, () => {
      http.off('error', reject)
      resolve()
    })
  })
  return (http.address() as AddressInfo).port
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
