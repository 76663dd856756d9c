import { WebSocket } from 'ws'

/** For Node 20, which has no global WebSocket. Bytes come as they do elsewhere, and not as Node's Buffer. */
class NodeWebSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols)
    this.binaryType = 'arraybuffer'
  }
}

export const fallbackWebSocket: unknown = NodeWebSocket
