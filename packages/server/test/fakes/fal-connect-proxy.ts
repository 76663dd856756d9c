import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { hostNameOf, surfaceOfHost } from '../../src/gateway/surface.ts'

export interface ConnectProxy {
  /** For `HTTPS_PROXY`. */
  readonly url: string
  close(): Promise<void>
}

/** What an entry for each of fal's hosts in the hosts file does, for other processes: connections to them end at `port`. */
export async function startFalConnectProxy(port: number): Promise<ConnectProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((_request, response) => response.writeHead(405).end())
  server.on('connect', (request, client: Socket) => {
    if (surfaceOfHost(hostNameOf(request.url ?? '')) === undefined) {
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.pipe(client).pipe(target)
    })
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('close', () => sockets.delete(socket))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
