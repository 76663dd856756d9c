import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { awakeInterval } from '../channel/awake-interval.ts'
import { WireError } from '../errors/errors.ts'
import { rawErrorResponse } from '../gateway/error-response.ts'

export interface TransferPace {
  /** What a request's body must bring, and an answer's reader must take, on average over a window. */
  readonly leastBytesPerSecond: number
  readonly windowSeconds: number
}

/** Looks within a window, so that none is longer than it says by more than this part. */
const LOOKS = 4

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Where the present window began. */
  since: number
  moved: number
}

/**
 * Ends connections whose sender drips or whose reader hardly reads, and answers those that say nothing that is HTTP: what a request
 * holds in this process, its client must not be able to hold for nothing.
 *
 * Node's own time limit is for the whole request, however steadily it comes: a large file on a slow line would run into it. A
 * connection that waits for this server, for its answer or for its disk, is left alone.
 * @returns stops looking
 */
export function cutSlowConnections(server: Server, pace: TransferPace): () => void {
  // Of each connection those that are not answered yet, of which only the first is being answered.
  const exchanges = new Map<Duplex, Exchange[]>()
  server.on('request', (request, response) => {
    const { socket } = request
    const line = exchanges.get(socket) ?? []
    line.push({ request, response, since: performance.now(), moved: socket.bytesRead })
    exchanges.set(socket, line)
    response.once('close', () => {
      line.shift()
      const [next] = line
      // Those that waited on a connection that is gone are never begun.
      if (next === undefined || socket.destroyed) exchanges.delete(socket)
      else next.since = performance.now()
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const [status, detail] = BROKEN[error.code ?? ''] ?? [400, 'The request is no HTTP']
    if (exchanges.get(socket)?.[0]?.response.headersSent === true) socket.destroy()
    else answerAndClose(socket, status, detail)
  })
  const timer = awakeInterval((pace.windowSeconds * 1000) / LOOKS, (stoodStill) => {
    for (const [socket, [exchange]] of exchanges) if (exchange) look(socket, exchange, pace, stoodStill)
  }).unref()
  return () => clearInterval(timer)
}

const BROKEN: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The extensions of the chunks are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request came too slowly'],
}

function look(socket: Duplex, exchange: Exchange, pace: TransferPace, stoodStill: boolean): void {
  const { request, response } = exchange
  const side = sideToMove(request, response)
  const moved = side === 'reader' ? taken(request, response) : request.socket.bytesRead
  const seconds = (performance.now() - exchange.since) / 1000
  const isSlow = Math.abs(moved - exchange.moved) < pace.leastBytesPerSecond * seconds
  if (side === undefined || stoodStill || !isSlow) {
    exchange.since = performance.now()
    exchange.moved = side === undefined ? request.socket.bytesRead : moved
    return
  }
  if (seconds < pace.windowSeconds) return
  if (response.headersSent) socket.destroy()
  else answerAndClose(socket, 408, `The request came slower than ${pace.leastBytesPerSecond} bytes a second`)
}

/** Whose turn it is: the sender of a body that is not all here, the reader of what was written; or this server's own. */
function sideToMove(request: IncomingMessage, response: ServerResponse): 'sender' | 'reader' | undefined {
  if (response.writableLength > 0) return 'reader'
  const isFull = request.readableLength >= request.readableHighWaterMark
  return request.complete || isFull ? undefined : 'sender'
}

/** Bytes that the reader's side has taken, within one large write too. */
function taken({ socket }: IncomingMessage, { writableLength }: ServerResponse): number {
  return socket.bytesWritten - writableLength - unsentBytes(socket)
}

/**
 * What of the present write the system has not taken. A large answer is one write, which shows no other progress; Node's own time limit
 * for idle sockets looks here too (`net.Socket`, `_onTimeout`). 0 where a version of Node does not say.
 */
function unsentBytes(socket: Duplex): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  const size: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'writeQueueSize') : undefined
  return typeof size === 'number' ? size : 0
}

/** Thousands of connections may break at once. */
function answerAndClose(socket: Duplex, status: number, detail: string): void {
  socket.on('error', () => {})
  if (socket.writable) socket.end(rawErrorResponse(new WireError(status, detail)), () => socket.destroy())
  else socket.destroy()
}
