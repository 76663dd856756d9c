import type { WebSocket, WebSocketServer } from 'ws'

/**
 * Pings every client of `sockets` each so many seconds and ends those that did not answer the ping before: a machine that
 * vanished says no goodbye, and its work would go on for nobody.
 * @returns stops it
 */
export function terminateSilent(sockets: WebSocketServer, seconds: number): () => void {
  const silent = new WeakSet<WebSocket>()
  const timer = setInterval(() => {
    for (const socket of sockets.clients) {
      // What is not read for now cannot be heard to answer.
      if (socket.isPaused) continue
      if (silent.has(socket)) socket.terminate()
      silent.add(socket)
      socket.once('pong', () => silent.delete(socket))
      socket.ping()
    }
  }, seconds * 1000).unref()
  return () => clearInterval(timer)
}
