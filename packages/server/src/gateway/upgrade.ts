import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WireError } from '../errors/errors.ts'
import { errorResponse } from './error-response.ts'
import { routedPath, withoutPrefix } from './surface.ts'

/** The path by which a WebSocket handshake is routed; `/` for a request target that is no path. */
export function upgradePath(request: IncomingMessage, publicUrl: string | undefined): string {
  const forwarded = request.headers['x-forwarded-prefix']
  const path = withoutPrefix(
    parse(request)?.pathname ?? '/',
    publicUrl,
    forwarded === undefined ? undefined : String(forwarded),
  )
  return routedPath(request.headers.host ?? '', path)
}

/** The URL of a WebSocket handshake, its host aside. @throws WireError 400 */
export function upgradeUrl(request: IncomingMessage): URL {
  const url = parse(request)
  if (url === undefined) throw new WireError(400, 'Bad Request')
  return url
}

function parse({ url = '/' }: IncomingMessage): URL | undefined {
  return URL.canParse(url, 'http://localhost') ? new URL(url, 'http://localhost') : undefined
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
