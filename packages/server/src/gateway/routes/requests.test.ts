import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createGatewayRig, type GatewayRig, jsonOf } from '../../../test/fakes/gateway-rig.ts'

let rig: GatewayRig

beforeEach(async () => {
  rig = await createGatewayRig()
})
afterEach(() => rig.close())

interface Listing {
  readonly items: readonly Readonly<Record<string, unknown>>[]
  readonly next_cursor: string | null
  readonly has_more: boolean
}

const LISTING = '/v1/models/requests/by-endpoint?endpoint_id=acme/echo'

async function submit(input: object): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const response = rig.app.request('/queue/acme/echo', { method: 'POST', headers, body: JSON.stringify(input) })
  return (await jsonOf<{ request_id: string }>(response)).request_id
}

const noise = (seed: number, length: number) =>
  Array.from({ length: length / 64 }, (_, at) => createHash('sha256').update(`${seed}.${at}`).digest('hex')).join('')

it('sends small payloads, and names large ones by size and URL', async () => {
  const large = { prompt: noise(1, 128_000) }
  const [id, small] = [await submit(large), await submit({ prompt: 'a' })]
  await rig.workOff()
  await rig.workOff()
  const { items } = await jsonOf<Listing>(rig.app.request(`${LISTING}&expand=payloads`))
  expect(items.map((item) => item.request_id)).toEqual([small, id])
  expect(items[0]).toMatchObject({ json_input: { prompt: 'a' }, json_output: { prompt: 'a', count: 1 } })
  const base = `http://localhost/v1/models/requests/${id}/payloads`
  expect(items[1]).toMatchObject({
    json_input_bytes: JSON.stringify(large).length,
    json_input_url: `${base}/input`,
    json_output_url: `${base}/output`,
  })
  expect(items[1]).not.toHaveProperty('json_input')
  const input = await rig.app.request(`${base}/input`)
  expect(input.headers.get('content-length')).toBe(String(JSON.stringify(large).length))
  expect(await input.json()).toEqual(large)
  expect(await jsonOf(rig.app.request(`${base}/output`))).toEqual({ ...large, count: 1 })
  expect(await jsonOf(rig.app.request(`/queue/acme/echo/requests/${id}`))).toEqual({ ...large, count: 1 })
})

it('ends a page before it is too large, and goes on where it ended', async () => {
  for (let i = 0; i < 90; i++) await submit({ prompt: noise(i, 60_032) })
  const ids: unknown[] = []
  const sizes: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const response = await rig.app.request(`${LISTING}&expand=payloads&limit=100&cursor=${cursor}`)
    const text = await response.text()
    const page = JSON.parse(text) as Listing
    expect(page.has_more).toBe(page.next_cursor !== null)
    ids.push(...page.items.map((item) => item.request_id))
    sizes.push(text.length)
    cursor = page.next_cursor
  }
  expect(new Set(ids).size).toBe(90)
  expect(ids).toHaveLength(90)
  expect(sizes).toHaveLength(2)
  expect(Math.max(...sizes)).toBeLessThan(4.3 * 1024 * 1024)
  const plain = await jsonOf<Listing>(rig.app.request(`${LISTING}&limit=100`))
  expect([plain.items.length, plain.has_more]).toEqual([90, false])
})

it('has no payload where it was erased, and says so', async () => {
  const id = await submit({ prompt: noise(1, 6400) })
  await rig.workOff()
  const payload = (part: string) => rig.app.request(`/v1/models/requests/${id}/payloads/${part}`)
  expect([(await payload('input')).status, (await payload('output')).status, (await payload('x')).status]).toEqual([
    200, 200, 404,
  ])
  expect((await rig.app.request(`/v1/models/requests/${id}/payloads`, { method: 'DELETE' })).status).toBe(200)
  expect((await payload('output')).status).toBe(404)
  const { items } = await jsonOf<Listing>(rig.app.request(`${LISTING}&expand=payloads`))
  expect(items[0]).not.toHaveProperty('json_output')
  expect((await rig.app.request(`/queue/acme/echo/requests/${id}`)).status).toBe(410)
  expect((await rig.app.request(`/queue/acme/echo/requests/${id}/status`)).status).toBe(200)
})

it('reads no more of a payload than is taken', async () => {
  const id = await submit({ prompt: noise(1, 2_560_000) })
  let read = 0
  const original = rig.queue.payloads.bind(rig.queue)
  rig.queue.payloads = async (requestId) => {
    const stored = await original(requestId)
    const input = stored?.input
    if (input === undefined) return stored
    async function* counted() {
      for await (const piece of input?.read() ?? []) {
        read += piece.length
        yield piece
      }
    }
    return { input: { ...input, read: counted } }
  }
  const response = await rig.app.request(`/v1/models/requests/${id}/payloads/input`)
  const reader = response.body?.getReader()
  const first = await reader?.read()
  expect(first?.value?.byteLength).toBeLessThanOrEqual(64 * 1024)
  expect(read).toBeLessThanOrEqual(256 * 1024)
  await reader?.cancel()
})

/** A reader's connection: the answer on it is underway until it is closed. */
function reader(): { readonly env: object; readonly close: () => void } {
  const outgoing = new EventEmitter()
  return { env: { outgoing }, close: () => outgoing.emit('close') }
}

it('makes some long answers of an account at a time, and others wait for a reader to be done', async () => {
  await submit({ prompt: 'a' })
  const readers = Array.from({ length: 10 }, reader)
  let answered = 0
  const asked = readers.map(async ({ env }) => {
    await rig.app.request(LISTING, {}, env)
    answered += 1
  })
  while (answered < 8) await new Promise((resolve) => setImmediate(resolve))
  for (let round = 0; round < 50; round++) await new Promise((resolve) => setImmediate(resolve))
  expect(answered).toBe(8)
  readers[0]?.close()
  readers[1]?.close()
  await Promise.all(asked)
  expect(answered).toBe(10)
})

it('forgets a listing whose client leaves while it waits', async () => {
  const readers = Array.from({ length: 8 }, reader)
  await Promise.all(readers.map(({ env }) => rig.app.request(LISTING, {}, env)))
  const leaving = new AbortController()
  const left = rig.app.request(new Request(`http://localhost${LISTING}`, { signal: leaving.signal }), {}, reader().env)
  const next = rig.app.request(LISTING, {}, reader().env)
  leaving.abort()
  expect((await left).status).not.toBe(200)
  expect(rig.logged).toEqual([])
  readers[0]?.close()
  expect((await next).status).toBe(200)
})

it('names the size of a run’s input that is not kept', async () => {
  const small = await createGatewayRig({ environment: { DARKROOM_MAX_RECORDED_BYTES: '80000' } })
  const body = JSON.stringify({ prompt: noise(1, 100_000) })
  const headers = { 'content-type': 'application/json' }
  expect((await small.app.request('/run/acme/echo', { method: 'POST', headers, body })).status).toBe(200)
  const { items } = await jsonOf<Listing>(small.app.request(`${LISTING}&expand=payloads`))
  expect(items[0]).toMatchObject({ json_input_bytes: body.length })
  expect(items[0]).not.toHaveProperty('json_input_url')
  await small.close()
})
