import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of one connection that wait for those before them; who sends more gets no answer to any. */
const MOST_WAITING = 16

/**
 * Works on one request of a connection at a time. A client may send the next ones before the answer to the first has come (RFC 9112, 9.3.2),
 * and answers go out in order: what is made of the later ones would lie in memory until the reader has taken the first, and would be
 * work that one connection asks for at once.
 */
export function oneRequestAtATime(listener: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, (() => void)[]>()
  return (request, response) => {
    const { socket } = request
    const begin = () => {
      response.once('close', () => beginNext(socket, waiting))
      listener(request, response)
    }
    const line = waiting.get(socket)
    if (line === undefined) {
      waiting.set(socket, [])
      begin()
    } else if (line.length < MOST_WAITING) line.push(begin)
    else socket.destroy()
  }
}

function beginNext(socket: Socket, waiting: WeakMap<Socket, (() => void)[]>): void {
  const next = socket.destroyed ? undefined : waiting.get(socket)?.shift()
  if (next === undefined) waiting.delete(socket)
  else next()
}
