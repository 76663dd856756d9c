import type { IncomingMessage, RequestListener } from 'node:http'
import { EventLoopTurns } from '../gateway/event-loop-turns.ts'

/** They tell whether this process lives, and wait for nobody. */
const PROBES: ReadonlySet<string> = new Set(['/health', '/ready'])

/** For those that came together: others are looked at in between. */
const ROUND_MILLISECONDS = 4

/**
 * Begins a few requests in a round of the event loop, clients in turn: a thousand that come at once, each of a millisecond, would be a
 * second in which nobody else is answered. Who asks is told by the key that he shows, whether it is right or not, and where he shows none
 * by his address.
 */
export function requestsInTurn(listener: RequestListener): RequestListener {
  const turns = new EventLoopTurns(ROUND_MILLISECONDS)
  return (request, response) => {
    if (PROBES.has(request.url ?? '')) {
      listener(request, response)
      return
    }
    void turns.take(clientOf(request)).then(() => {
      if (!request.socket.destroyed) listener(request, response)
    })
  }
}

function clientOf({ headers, socket }: IncomingMessage): string {
  return headers.authorization ?? socket.remoteAddress ?? ''
}
