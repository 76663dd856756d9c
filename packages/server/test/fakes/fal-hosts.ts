import { Agent as HttpsAgent } from 'node:https'
import { type ConnectionOptions, connect } from 'node:tls'
import { Agent, buildConnector, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { WebSocket } from 'ws'
import { surfaceOfHost } from '../../src/gateway/surface.ts'
import type { WholeServer } from './whole-server.ts'

/**
 * What an entry for each of fal's hosts in the hosts file and a trusted authority do for a machine, for this process alone
 * and with any port: every `fetch` and WebSocket to fal reaches `server`, under fal's name and with TLS verified. Clients
 * need no configuration and cannot tell.
 * @returns puts everything back
 */
export function answerForFal({ port, authority }: Pick<WholeServer, 'port' | 'authority'>): () => Promise<void> {
  const before = { dispatcher: getGlobalDispatcher(), WebSocket: globalThis.WebSocket }
  const trusting = buildConnector({ ca: authority })
  const dispatcher = new Agent({
    connect(options, callback) {
      const isFal = surfaceOfHost(options.hostname) !== undefined
      // The server name, against which the certificate is checked, stays fal's.
      trusting(isFal ? { ...options, hostname: '127.0.0.1', port: String(port) } : options, callback)
    },
  })
  setGlobalDispatcher(dispatcher)
  const sockets = new Set<WebSocket>()
  globalThis.WebSocket = falWebSocket(port, authority, sockets) as typeof globalThis.WebSocket
  return async () => {
    // The clients look at the global WebSocket when one of theirs closes.
    await Promise.all([...sockets].map(closed))
    setGlobalDispatcher(before.dispatcher)
    if (before.WebSocket === undefined) Reflect.deleteProperty(globalThis, 'WebSocket')
    else globalThis.WebSocket = before.WebSocket
    await dispatcher.close()
  }
}

function closed(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
    socket.terminate()
  })
}

function falWebSocket(port: number, ca: string, open: Set<WebSocket>): unknown {
  const agent = new HttpsAgent()
  Object.assign(agent, {
    createConnection: (options: ConnectionOptions) =>
      connect({ ca, host: '127.0.0.1', port, ...(options.servername && { servername: options.servername }) }),
  })
  return class extends WebSocket {
    constructor(url: string | URL) {
      super(url, { agent, perMessageDeflate: false })
      // As in browsers and Node's own; the types of `ws` do not know it yet.
      Object.assign(this, { binaryType: 'blob' })
      open.add(this)
      this.once('close', () => open.delete(this))
    }
  }
}
