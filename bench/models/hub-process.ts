/**
 * A process that serves one large file as a hub does, from memory: `tsx hub-process.ts <bytes>`. Prints its origin, and the file's
 * SHA-256, as JSON.
 */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const size = Number(process.argv[2])
/** The file is this, over and over. */
const block = randomBytes(64 * 1024 * 1024)
const COMMIT = 'c'.repeat(40)
const WRITE_BYTES = 1024 * 1024

const hash = createHash('sha256')
for (let at = 0; at < size; at += block.length) hash.update(block.subarray(0, Math.min(block.length, size - at)))
const sha256 = hash.digest('hex')

function* parts(from: number, to: number): Generator<Uint8Array> {
  for (let at = from; at < to; ) {
    const start = at % block.length
    const end = Math.min(start + WRITE_BYTES, block.length, start + to - at)
    yield block.subarray(start, end)
    at += end - start
  }
}

const server = createServer((request, response) => {
  response.setHeader('x-repo-commit', COMMIT)
  response.setHeader('etag', `"${sha256}"`)
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const [from, to] = range === null ? [0, size] : [Number(range[1]), Number(range[2]) + 1]
  if (range !== null) response.setHeader('content-range', `bytes ${from}-${to - 1}/${size}`)
  response.writeHead(range === null ? 200 : 206, { 'content-length': to - from })
  if (request.method === 'HEAD') response.end()
  else pipeline(Readable.from(parts(from, to)), response).catch(() => {})
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
console.log(JSON.stringify({ origin, sha256 }))
