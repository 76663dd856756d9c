import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorResponse } from './error-response.ts'
import { routedPath } from './surface.ts'

/** The path by which a WebSocket handshake is routed; `/` for a request target that is no path. */
export function upgradePath(request: IncomingMessage): string {
  const target = request.url ?? '/'
  const pathname = URL.canParse(target, 'http://localhost') ? new URL(target, 'http://localhost').pathname : '/'
  return routedPath(request.headers.host ?? '', pathname)
}

/** Answers a handshake with an error as any other request, and closes. */
export async function refuseUpgrade(socket: Duplex, error: unknown): Promise<void> {
  const response = errorResponse(error)
  const body = await response.text()
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(
    `HTTP/1.1 ${response.status} Refused\r\n${headers}connection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
