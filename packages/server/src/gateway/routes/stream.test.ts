import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KEY, type LiveGateway, oneKey, startLiveGateway } from '../../../test/fakes/live-gateway.ts'

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
    const token = await gateway.tokens.mint({ allowedApps: ['echo'], expiresInSeconds: 60 })
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
