import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { endStalledBodies } from './web-server.ts'

let server: Server

beforeEach(async () => {
  server = createServer(async (request, response) => {
    let size = 0
    try {
      for await (const chunk of request) size += chunk.length
    } catch {
      return
    }
    await sleep(800)
    response.end(String(size))
  })
  endStalledBodies(server, 0.5)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const POST = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n'

/** Sends the pieces with pauses in between and gives back all that comes until the connection ends. */
async function talk(pieces: readonly string[], pauseMs: number): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  socket.on('error', () => {})
  for (const piece of pieces) {
    socket.write(piece)
    await sleep(pauseMs)
  }
  if (!socket.closed) await once(socket, 'close')
  return answer
}

it('ends a connection whose request stands still', async () => {
  expect(await talk([`${POST}01234`], 0)).toBe('')
})

it('takes a request that comes slowly, and waits for a slow answer', async () => {
  expect(await talk([`${POST}`, ...'0123456789'], 70)).toMatch(/^HTTP\/1.1 200 OK[\s\S]*10$/)
})
