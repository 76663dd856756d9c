import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { requestsInTurn } from './requests-in-turn.ts'

let server: Server

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** Hands the requests to the listener in one round, when so many have come. */
async function listen(many: number, listener: RequestListener): Promise<(path: string, key: string) => void> {
  const inTurn = requestsInTurn(listener)
  const held: (() => void)[] = []
  server = createServer((request, response) => {
    held.push(() => inTurn(request, response))
    if (held.length === many) for (const begin of held) begin()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return (path, key) => {
    const authorization = key === '' ? '' : `authorization: Key ${key}\r\n`
    connect(port, '127.0.0.1')
      .on('error', () => {})
      .write(`GET ${path} HTTP/1.1\r\nhost: x\r\n${authorization}\r\n`)
  }
}

const pathOf = ({ url }: IncomingMessage) => url ?? ''

it('lets clients take turns, and answers at once whether it lives', async () => {
  const begun: string[] = []
  const ask = await listen(9, (request, response) => {
    begun.push(pathOf(request))
    response.end()
  })
  // One after the other, so that they come in this order.
  for (let i = 0; i < 6; i++) ask(`/greedy`, 'greedy')
  await new Promise((resolve) => setTimeout(resolve, 50))
  ask('/honest', 'honest')
  ask('/health', '')
  ask('/nobody', '')
  await expect.poll(() => begun.length).toBe(9)
  expect(begun[0]).toBe('/health')
  expect(begun.indexOf('/honest')).toBeLessThan(4)
  expect(begun.indexOf('/nobody')).toBeLessThan(4)
})

it('begins nothing for a client that left while it waited', async () => {
  const begun: string[] = []
  const sockets: IncomingMessage['socket'][] = []
  const inTurn = requestsInTurn((request, response) => {
    begun.push(pathOf(request))
    response.end()
  })
  server = createServer((request, response) => {
    sockets.push(request.socket)
    inTurn(request, response)
    if (pathOf(request) === '/left') request.socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const path of ['/left', '/stayed']) {
    connect(port, '127.0.0.1')
      .on('error', () => {})
      .write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  }
  await expect.poll(() => begun.includes('/stayed') && sockets.length === 2).toBe(true)
  expect(begun).toEqual(['/stayed'])
})
