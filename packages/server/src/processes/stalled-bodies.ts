import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * Ends connections on which nothing moves while a request is still to come in, so that slow or silent senders hold none for long.
 * Node's own time limit is for the whole request, however steadily it comes: a large file on a slow line would run into it. A
 * connection that waits for its answer is left alone.
 */
export function endStalledBodies(server: Server, seconds: number): void {
  const requests = new WeakMap<Duplex, IncomingMessage>()
  server.on('request', (request) => requests.set(request.socket, request))
  server.setTimeout(seconds * 1000, (socket) => {
    if (requests.get(socket)?.complete !== true) socket.destroy()
  })
}
