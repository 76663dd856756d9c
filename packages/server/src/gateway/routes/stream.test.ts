import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGatewayRig, type GatewayRig } from '../../../test/fakes/gateway-rig.ts'
import { KEY, KEY_ID, type LiveGateway, oneKey, startLiveGateway } from '../../../test/fakes/live-gateway.ts'
import { fieldError } from '../../errors/errors.ts'
import type { StoredPayload } from '../../queue/request-queue.ts'

let gateway: LiveGateway

beforeAll(async () => {
  gateway = await startLiveGateway({ keys: oneKey })
})
afterAll(() => gateway.close())

function stream(path: string, input: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Key ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(input),
    ...init,
  })
}

const JSON_TYPE = { 'content-type': 'application/json' }

const eventsOf = (text: string): unknown[] =>
  text
    .split('\n\n')
    .filter((block) => block.startsWith('data: '))
    .map((block) => JSON.parse(block.slice('data: '.length)))

describe('streamRoutes', () => {
  it('sends intermediate outputs and the final one last, and ends', async () => {
    const response = await stream('/run/fake/steps/stream', { steps: 3, tag: 'x' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('x-fal-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(eventsOf(await response.text())).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }, { done: 3, tag: 'x' }])
  })

  it('keeps every digit of a seed', async () => {
    const body = '{"seed":18446744073709551615}'
    const response = await stream('/run/fake/echo/stream/', undefined, { body })
    expect(await response.text()).toBe(`data: ${body}\n\n`)
  })

  it('answers an error that comes first with its own status', async () => {
    const invalid = await stream('/run/fake/steps/stream', { prompt: [] })
    expect(invalid.status).toBe(422)
    expect(await invalid.json()).toMatchObject({ detail: [{ loc: ['body', 'prompt'] }] })
    const refused = await stream('/run/fake/refuse/stream', {})
    expect(refused.status).toBe(422)
    expect(refused.headers.get('x-fal-billable-units')).toBe('0')
    expect((await stream('/run/fake/broken/stream', {})).status).toBe(500)
    expect((await stream('/run/fake/nothing/stream', {})).status).toBe(404)
    expect((await stream('/run/fake/echo/stream', {}, { headers: {} })).status).toBe(401)
  })

  it('answers an error in mid-stream with an event, and ends', async () => {
    const response = await stream('/run/fake/breaks-off/stream', {})
    expect(response.status).toBe(200)
    expect(eventsOf(await response.text())).toEqual([
      { step: 1 },
      expect.objectContaining({ error: 'image_url: gone', status_code: 422 }),
    ])
  })

  it('is opened by a token too', async () => {
    const token = await gateway.tokens.mint({ keyId: KEY_ID, allowedApps: ['echo'], expiresInSeconds: 60 })
    const response = await stream(`/run/fake/echo/stream?fal_jwt_token=${token}`, { tag: 1 }, { headers: JSON_TYPE })
    expect(eventsOf(await response.text())).toEqual([{ tag: 1 }])
  })

  it('stops the work when the reader leaves', async () => {
    const controller = new AbortController()
    const response = await stream('/run/fake/steps/stream', { steps: 1_000_000, ms: 5 }, { signal: controller.signal })
    await response.body?.getReader().read()
    controller.abort()
    const next = await stream('/run/fake/echo/stream', { tag: 'next' })
    expect(eventsOf(await next.text())).toEqual([{ tag: 'next' }])
  })

  it('stops the work when a caller in this process stops reading', async () => {
    const response = await gateway.app.request('/run/fake/steps/stream', {
      method: 'POST',
      headers: { authorization: `Key ${KEY}`, ...JSON_TYPE },
      body: '{"steps":2,"ms":60000}',
    })
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    const next = await stream('/run/fake/echo/stream', { tag: 'next' })
    expect(eventsOf(await next.text())).toEqual([{ tag: 'next' }])
  })
})

async function collect(payload: StoredPayload | undefined): Promise<string> {
  const parts: string[] = []
  for await (const part of payload?.read() ?? []) parts.push(part)
  return parts.join('')
}

describe('a stream in the history of requests', () => {
  let rig: GatewayRig

  beforeAll(async () => {
    rig = await createGatewayRig()
  })
  afterAll(() => rig.close())

  /** Reads a stream to its end and gives back what is kept of it. */
  async function recorded(body: string) {
    const response = await rig.app.request('/run/acme/echo/stream', { method: 'POST', headers: JSON_TYPE, body })
    await response.text()
    const requestId = response.headers.get('x-fal-request-id') ?? ''
    await expect.poll(async () => await rig.queue.find(requestId)).toBeDefined()
    const { input, output } = (await rig.queue.payloads(requestId)) ?? {}
    const kept = { input: await collect(input), body: await collect(output) }
    return { ...(await rig.queue.find(requestId)), ...kept }
  }

  it('is listed like a sync run, with its input and final output', async () => {
    rig.converse = async function* (input) {
      yield { type: 'partial', output: { step: 1 } }
      yield { type: 'result', status: 200, headers: { 'x-darkroom-model': 'tiny' }, output: input, inferenceSeconds: 2 }
    }
    expect(await recorded('{"prompt":"a", "seed":18446744073709551615}')).toMatchObject({
      endpointId: 'acme/echo',
      input: '{"prompt":"a", "seed":18446744073709551615}',
      state: 'completed',
      outcome: {
        status: 200,
        headers: { 'x-darkroom-model': 'tiny' },
        inferenceSeconds: 2,
      },
      body: '{"prompt":"a","count":1,"seed":18446744073709551615}',
    })
  })

  it('is kept with the error that refused it, that it began with, or that ended it', async () => {
    const error = fieldError('image_url', 'image_load_error', 'gone')
    const failed = { type: 'result', status: 422, headers: {}, output: { detail: error.detail } } as const
    expect(await recorded('{"prompt":[]}')).toMatchObject({
      outcome: { status: 422 },
      body: expect.stringMatching('prompt'),
    })
    rig.converse = async function* () {
      yield failed
    }
    expect(await recorded('{"prompt":"a"}')).toMatchObject({
      outcome: { status: 422 },
      body: expect.stringMatching('gone'),
    })
    rig.converse = async function* () {
      yield { type: 'partial', output: { step: 1 } }
      yield failed
    }
    expect(await recorded('{"prompt":"a"}')).toMatchObject({
      outcome: { status: 422 },
      body: expect.stringMatching('gone'),
    })
  })

  it('is kept as given up by its reader', async () => {
    rig.converse = async function* (_input, _options, signal) {
      yield { type: 'partial', output: { step: 1 } }
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const response = await rig.app.request('/run/acme/echo/stream', {
      method: 'POST',
      headers: JSON_TYPE,
      body: '{"prompt":"a"}',
    })
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    const requestId = response.headers.get('x-fal-request-id') ?? ''
    await expect.poll(async () => (await rig.queue.find(requestId))?.outcome?.status).toBe(499)
  })
})
