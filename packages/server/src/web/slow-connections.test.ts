import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { cutSlowConnections } from './slow-connections.ts'

/** More than the kernel's buffers of both ends hold. */
const LARGE = 64 * 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024)

let server: Server
let stop: () => void
/** Bytes of the answers to `/large` that were handed to the connection. */
let produced: number
let ended: Promise<unknown>

beforeEach(async () => {
  produced = 0
  server = createServer(async (request, response) => {
    ended = once(response, 'close')
    if (request.url === '/large') {
      while (produced < LARGE && !response.closed) {
        produced += CHUNK.length
        if (!response.write(CHUNK)) await Promise.race([once(response, 'drain'), ended])
      }
      response.end()
      return
    }
    if (request.url === '/whole') {
      response.end(Buffer.alloc(LARGE))
      return
    }
    let size = 0
    try {
      for await (const chunk of request) size += chunk.length
    } catch {
      return
    }
    await sleep(800)
    response.end(String(size))
  })
  stop = cutSlowConnections(server, { leastBytesPerSecond: 20, windowSeconds: 0.4 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  stop()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const POST = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 40\r\n\r\n'
const CHUNKED = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'

/** Sends the pieces with pauses in between and gives back all that comes until the connection ends. */
async function talk(pieces: readonly string[], pauseMs: number): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece)
    await sleep(pauseMs)
  }
  await closed
  return answer
}

it('answers 408 where a body stands still', async () => {
  expect(await talk([`${POST}01234`], 0)).toMatch(
    /^HTTP\/1.1 408 [\s\S]*"detail": "The request came slower than 20 bytes a second"/,
  )
})

it('answers 408 where a body drips, however steadily', async () => {
  expect(await talk([POST, ...'0123456789012345'], 100)).toMatch(/^HTTP\/1.1 408 /)
})

it('answers 408 to a chunk that is announced larger than any body, when it does not come', async () => {
  expect(await talk([`${CHUNKED}FFFFFFFFFFFFFFF\r\nabc`], 0)).toMatch(/^HTTP\/1.1 408 /)
})

it('takes a request that comes slowly but fast enough, and waits for a slow answer', async () => {
  const pieces = Array.from({ length: 8 }, () => '01234')
  expect(await talk([POST, ...pieces], 100)).toMatch(/^HTTP\/1.1 200 OK[\s\S]*40$/)
})

it.each([
  ['a version that is none', 'GET / HTTP/9.9\r\n\r\n'],
  ['what is no HTTP', 'hello\r\n\r\n'],
  ['a chunk size that is no number', `${CHUNKED}zz\r\n`],
])('answers %s', async (_, text) => {
  expect(await talk([text], 0)).toMatch(/^HTTP\/1.1 400 [\s\S]*"detail":"The request is no HTTP"/)
})

it('answers a line of HTTP/0.9', async () => {
  expect(await talk(['GET /\r\n\r\n'], 0)).toMatch(/^HTTP\/1.1 /)
})

it('cuts a reader that does not read', async () => {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.pause()
  socket.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(server, 'request')
  await ended
  expect(produced).toBeLessThan(LARGE)
  socket.destroy()
})

it.each(['/large', '/whole'])('leaves a reader alone that reads %s', async (path) => {
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size % (16 * 1024 * 1024) < chunk.length) await sleep(150)
  }
  expect(size).toBe(LARGE)
})
