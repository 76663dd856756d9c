import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { oneRequestAtATime } from './pipelined-requests.ts'

let server: Server

afterEach(() => {
  server.closeAllConnections()
  server.close()
})

async function listen(listener: RequestListener) {
  server = createServer(oneRequestAtATime(listener)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  return socket
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`

it('begins a request when the answer to the one before is out, in order', async () => {
  const begun: string[] = []
  let underway = 0
  let most = 0
  const socket = await listen((request, response) => {
    begun.push(request.url ?? '')
    most = Math.max(most, ++underway)
    setTimeout(() => {
      underway -= 1
      response.end(request.url)
    }, 5)
  })
  let text = ''
  socket.on('data', (data) => {
    text += data
  })
  socket.write(get('/1') + get('/2') + get('/3', 'Connection: close\r\n'))
  await once(socket, 'close')
  expect(begun).toEqual(['/1', '/2', '/3'])
  expect(most).toBe(1)
  expect([...text.matchAll(/\/\d$|\/\d(?=HTTP)/g)].map(([path]) => path)).toEqual(['/1', '/2', '/3'])
})

it('begins nothing more for a connection that is gone, and cuts one that sends requests without end', async () => {
  const begun: string[] = []
  const socket = await listen((request) => void begun.push(request.url ?? ''))
  socket.write(get('/first') + get('/second'))
  while (begun.length === 0) await new Promise((resolve) => setImmediate(resolve))
  socket.write(get('/more').repeat(100))
  await once(socket, 'close')
  await new Promise((resolve) => setImmediate(resolve))
  expect(begun).toEqual(['/first'])
})
