import { Readable } from 'node:stream'
import type { HttpBindings } from '@hono/node-server'
import { expect, it } from 'vitest'
import { readBody } from './request-body.ts'

const LIMIT = 300_000

/** What Node's parser would hand over for a body that comes in chunks. */
const incomingOf = (chunks: readonly Uint8Array[]) => Readable.from(chunks) as unknown as HttpBindings['incoming']

const bodyOf = (length: number) => new Uint8Array(length).map((_, i) => i % 251)

function chunksOf(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

function read(bytes: Uint8Array, declared: number | undefined, held: number[] = []): Promise<Uint8Array> {
  const headers = declared === undefined ? {} : { 'content-length': String(declared) }
  const request = new Request('http://x/', { method: 'POST', headers })
  const lease = { hold: (length: number) => void held.push(length), release() {} }
  return readBody(request, LIMIT, { lease, env: { incoming: incomingOf(chunksOf(bytes, 65_000)) } })
}

it.each([
  [200_000, 200_000],
  [200_000, undefined],
  [10, undefined],
  [0, undefined],
])('puts a body of %s bytes together, declared as %s, in memory that nobody else has', async (length, declared) => {
  const body = await read(bodyOf(length), declared)
  expect(Buffer.compare(body, bodyOf(length))).toBe(0)
  expect(body.buffer.byteLength).toBe(length)
})

it('asks for room before it takes any, or as it comes where nothing is declared', async () => {
  const declared: number[] = []
  await read(bodyOf(200_000), 200_000, declared)
  expect(declared[0]).toBe(200_000)
  const undeclared: number[] = []
  await read(bodyOf(200_000), undefined, undeclared)
  expect(undeclared).toEqual([65_000, 130_000, 195_000, 200_000])
})

it('refuses what is larger than it may be, declared or not', async () => {
  for (const declared of [400_000, undefined]) {
    await expect(read(bodyOf(400_000), declared)).rejects.toMatchObject({ status: 413 })
  }
})
