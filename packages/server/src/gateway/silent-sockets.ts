import type { WebSocket, WebSocketServer } from 'ws'
import { awakeInterval } from '../channel/awake-interval.ts'

/**
 * Pings every client of `sockets` each so many seconds and ends those that did not answer the ping before: a machine that
 * vanished says no goodbye, and its work would go on for nobody.
 * @returns stops it
 */
export function terminateSilent(sockets: WebSocketServer, seconds: number): () => void {
  const silent = new WeakSet<WebSocket>()
  const timer = awakeInterval(seconds * 1000, (stoodStill) => {
    for (const socket of sockets.clients) {
      // What is not read for now cannot be heard to answer.
      if (socket.isPaused) continue
      // Its answer may lie unread in this process, which stood still.
      if (silent.has(socket) && !stoodStill) socket.terminate()
      silent.add(socket)
      socket.once('pong', () => silent.delete(socket))
      socket.ping()
    }
  }).unref()
  return () => clearInterval(timer)
}
