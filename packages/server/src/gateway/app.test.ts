import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createGatewayRig, type GatewayRig, jsonOf } from '../../test/fakes/gateway-rig.ts'

let rig: GatewayRig

beforeEach(async () => {
  rig = await createGatewayRig()
})

afterEach(() => rig.close())

interface Submitted {
  readonly request_id: string
  readonly response_url: string
  readonly status_url: string
}

interface ModelList {
  readonly models: readonly { readonly metadata: object; readonly openapi?: { readonly openapi: string } }[]
}

interface RequestList {
  readonly items: readonly {
    readonly request_id: string
    readonly duration: number | null
    readonly json_input?: unknown
    readonly json_output?: unknown
  }[]
  readonly next_cursor: string | null
}

interface Document {
  readonly info: Readonly<Record<'x-fal-metadata', { readonly endpointId: string }>>
  readonly servers: readonly { readonly url: string }[]
}

const BODY = { method: 'POST', body: '{"prompt":"a"}', headers: { 'content-type': 'application/json' } }

describe('three ways in', () => {
  test('fal’s host names stand for its surfaces, and its answers name them', async () => {
    const run = await rig.app.request('https://fal.run/acme/echo', BODY)
    expect(await run.json()).toEqual({ prompt: 'a', count: 1 })
    expect(rig.conversations[0]?.filesUrl).toBe('https://v3.fal.media')
    const submit = await rig.app.request('https://queue.fal.run/acme/echo/twice', BODY)
    const { response_url, request_id } = await jsonOf<Submitted>(submit)
    expect(response_url).toBe(`https://queue.fal.run/acme/echo/requests/${request_id}`)
    expect((await rig.app.request(`https://queue.fal.run/acme/echo/requests/${request_id}/status`)).status).toBe(202)
  })

  test('by the Host header alone, with a port, behind any URL', async () => {
    const headers = { ...BODY.headers, host: 'queue.fal.run:8443' }
    const submit = await rig.app.request('https://127.0.0.1:8443/acme/echo', { ...BODY, headers })
    expect((await jsonOf<Submitted>(submit)).status_url).toMatch(
      /^https:\/\/queue\.fal\.run:8443\/acme\/echo\/requests\//,
    )
  })

  test.each(['rest.fal.ai', 'rest.alpha.fal.ai'])(
    'uploads, tokens and keys of webhooks under %s and /rest',
    async (host) => {
      const initiate = '/storage/upload/initiate?storage_type=fal-cdn-v3'
      for (const base of [`https://${host}`, '/rest']) {
        const upload = await rig.app.request(`${base}${initiate}`, { ...BODY, body: '{"file_name":"a.png"}' })
        expect(await upload.json()).toMatchObject({ file_url: expect.stringMatching(/_a\.png$/) })
        const token = await rig.app.request(`${base}/tokens/`, { ...BODY, body: '{"allowed_apps":["echo"]}' })
        expect(token.status).toBe(201)
        expect(await (await rig.app.request(`${base}/.well-known/jwks.json`)).json()).toEqual({
          keys: [{ kty: 'OKP' }],
        })
      }
      expect((await rig.app.request('/.well-known/jwks.json')).status).toBe(200)
    },
  )

  test('the oldest sockets’ host is their endpoint', async () => {
    const response = await rig.app.request('https://110602490-legacy-echo.gateway.alpha.fal.ai/', BODY)
    expect(await response.json()).toEqual({ prompt: 'a', count: 1 })
  })

  test('the proxy route dispatches what x-fal-target-url names, and fetches nothing', async () => {
    const target = (url: string, init: RequestInit = {}) =>
      rig.app.request('/api/fal/proxy', { ...init, headers: { ...BODY.headers, 'x-fal-target-url': url } })
    const submit = await target('https://queue.fal.run/acme/echo?fal_max_queue_length=5', BODY)
    const { request_id, status_url } = await jsonOf<Submitted>(submit)
    expect(status_url).toBe(`http://localhost/queue/acme/echo/requests/${request_id}/status`)
    expect(submit.headers.get('x-fal-request-id')).toBe(request_id)
    const cancel = await target(`https://queue.fal.run/acme/echo/requests/${request_id}/cancel`, { method: 'PUT' })
    expect(cancel.status).toBe(202)
    expect(await (await target('https://fal.run/acme/echo', BODY)).json()).toEqual({ prompt: 'a', count: 1 })
    const initiate = await target('https://rest.fal.ai/storage/upload/initiate?a=1', BODY)
    expect(await initiate.json()).toMatchObject({ upload_url: expect.any(String) })
    for (const url of ['https://example.com/x', 'nonsense', 'https://fal.run.example.com/acme/echo']) {
      expect((await target(url, BODY)).status).toBe(400)
    }
    expect((await rig.app.request('/api/fal/proxy', BODY)).status).toBe(400)
  })

  test('the target header means nothing on other routes', async () => {
    const headers = { ...BODY.headers, 'x-fal-target-url': 'https://queue.fal.run/acme/echo' }
    expect(await (await rig.app.request('/run/acme/echo', { ...BODY, headers })).json()).toEqual({
      prompt: 'a',
      count: 1,
    })
  })

  test('URLs in answers follow the configured public URL', async () => {
    await rig.close()
    rig = await createGatewayRig({ config: { publicUrl: 'https://images.example.com/darkroom/' } })
    const submit = await rig.app.request('/queue/acme/echo', BODY)
    const { status_url } = await jsonOf<Submitted>(submit)
    expect(status_url).toMatch(/^https:\/\/images\.example\.com\/darkroom\/queue\/acme\/echo\/requests\//)
    await rig.app.request('/run/acme/echo', BODY)
    expect(rig.conversations[0]?.filesUrl).toBe('https://images.example.com/darkroom/cdn')
  })
})

describe('every response', () => {
  test.each(['/run/acme/echo', '/nowhere', '/v1/nowhere', '/queue/acme/echo/requests/x', '/health'])(
    '%s has a request id',
    async (path) => {
      const response = await rig.app.request(path)
      expect(response.headers.get('x-fal-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    },
  )

  test('is a refusal for pages of other origins where no key is needed', async () => {
    const response = await rig.app.request('/run/acme/echo', {
      ...BODY,
      headers: { ...BODY.headers, origin: 'https://example.com' },
    })
    expect(response.status).toBe(403)
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('may be read by this machine’s pages, its headers too', async () => {
    const preflight = await rig.app.request('/queue/acme/echo', {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:5173',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-fal-queue-priority',
        'access-control-request-private-network': 'true',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('http://localhost:5173')
    expect(preflight.headers.get('access-control-allow-headers')).toBe(
      'authorization,content-type,x-fal-queue-priority',
    )
    expect(preflight.headers.get('vary')).toBe('Origin, Access-Control-Request-Headers')
    expect(preflight.headers.get('access-control-allow-private-network')).toBe('true')
    const response = await rig.app.request('/run/acme/none', {
      ...BODY,
      headers: { ...BODY.headers, origin: 'http://localhost:5173' },
    })
    expect(response.status).toBe(404)
    expect(response.headers.get('access-control-allow-origin')).toBe('http://localhost:5173')
    expect(response.headers.get('vary')).toBe('Origin')
    const exposed = response.headers.get('access-control-expose-headers')?.split(',')
    for (const name of ['x-fal-request-id', 'x-fal-request-timeout-type', 'x-fal-error-type', 'x-fal-billable-units']) {
      expect(exposed).toContain(name)
    }
  })
})

describe('platform', () => {
  test('models are listed in pages whose cursor is the page in base64 without padding', async () => {
    const first = await jsonOf<ModelList>(rig.app.request('https://api.fal.ai/v1/models?limit=1'))
    expect(first).toMatchObject({ models: [{ endpoint_id: 'acme/echo' }], next_cursor: 'Mg', has_more: true })
    expect(first.models[0]?.metadata).toEqual({
      display_name: 'Echo',
      category: 'test',
      description: 'Answers with its input',
      status: 'active',
      tags: ['repetition'],
      updated_at: '2026-01-02T00:00:00.000Z',
      is_favorited: null,
      thumbnail_url: expect.stringMatching(/\/v1\/models\/thumbnail\.svg$/),
      model_url: 'https://fal.run/acme/echo',
      date: '2026-01-02T00:00:00.000Z',
      group: { key: 'acme-echo', label: 'Echoes' },
      highlighted: false,
      kind: 'inference',
      stream_url: 'https://fal.run/acme/echo/stream',
      pinned: false,
    })
    const second = await jsonOf<ModelList>(rig.app.request('/v1/models?limit=1&cursor=Mg'))
    expect(second).toMatchObject({ models: [{ endpoint_id: 'acme/echo/twice' }], next_cursor: null, has_more: false })
    expect(Object.keys(second.models[0]?.metadata ?? {})).not.toContain('date')
    const expanded = await jsonOf<ModelList>(rig.app.request('/v1/models?endpoint_id=acme/echo&expand=openapi-3.0'))
    expect(expanded.models).toHaveLength(1)
    expect(expanded.models[0]?.openapi?.openapi).toBe('3.0.4')
    expect(await (await rig.app.request('/v1/models?q=TWICE')).json()).toMatchObject({ models: [{}] })
    expect(await (await rig.app.request('/v1/models?category=video')).json()).toMatchObject({ models: [] })
  })

  test.each([
    ['/v1/models?limit=0', 400, 'validation_error'],
    ['/v1/models?cursor=!', 400, 'validation_error'],
    ['/v1/models?endpoint_id=acme/none', 404, 'not_found'],
    ['/v1/models/requests/by-endpoint?endpoint_id=acme/none', 404, 'not_found'],
    ['/v1/models/requests/by-endpoint?endpoint_id=acme/echo&start=soon', 400, 'validation_error'],
    ['/v1/models/requests/by-endpoint?endpoint_id=acme/echo&sort_by=price', 400, 'validation_error'],
    ['/v1/keys', 501, 'not_implemented'],
  ])('%s is %i %s', async (path, status, type) => {
    const response = await rig.app.request(path)
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual({ error: { type, message: expect.any(String) } })
  })

  test('requests of an endpoint, newest first, with their payloads when asked for, until these are erased', async () => {
    for (const count of [1, 2, 9]) {
      await rig.app.request('/queue/acme/echo', { ...BODY, body: `{"prompt":"a","count":${count}}` })
      await rig.workOff()
    }
    const list = (query: string) =>
      jsonOf<RequestList>(rig.app.request(`/v1/models/requests/by-endpoint?endpoint_id=acme/echo${query}`))
    const first = await list('&limit=2&expand=payloads')
    expect(first).toMatchObject({
      items: [
        { endpoint_id: 'acme/echo', status_code: 422, json_input: { prompt: 'a', count: 9 } },
        {
          status_code: 200,
          json_input: { count: 2 },
          json_output: { prompt: 'a', count: 2 },
          duration: expect.any(Number),
        },
      ],
      has_more: true,
    })
    const second = await list(`&limit=2&cursor=${encodeURIComponent(first.next_cursor ?? '')}`)
    expect(second).toMatchObject({ items: [{ status_code: 200 }], next_cursor: null, has_more: false })
    expect(second.items[0]).not.toHaveProperty('json_input')
    expect((await list('&status=user_error')).items).toHaveLength(1)
    expect((await list('&sort_by=ended_at&limit=1')).items).toEqual(
      first.items.slice(0, 1).map(({ json_input: _, json_output: __, ...item }) => item),
    )
    const durations = (await list('&sort_by=duration')).items.map(({ duration }) => duration)
    expect(durations).toEqual(durations.toSorted((a, b) => Number(b) - Number(a)))
    const id = first.items[1]?.request_id
    const erase = () => rig.app.request(`/v1/models/requests/${id}/payloads`, { method: 'DELETE' })
    expect(await (await erase()).json()).toEqual({ cdn_delete_results: [] })
    const after = await list(`&request_id=${id}&expand=payloads`)
    expect(after.items).toHaveLength(1)
    expect(after.items[0]).not.toHaveProperty('json_output')
  })

  test('the document of an endpoint, at fal’s path, open to all', async () => {
    const path = '/api/openapi/queue/openapi.json?endpoint_id='
    const document = await jsonOf<Document>(rig.app.request(`https://fal.ai${path}acme/echo`))
    expect(document.info['x-fal-metadata'].endpointId).toBe('acme/echo')
    expect(document.servers).toEqual([{ url: 'https://queue.fal.run' }])
    expect((await jsonOf<Document>(rig.app.request(`${path}acme/echo`))).servers).toEqual([
      { url: 'http://localhost/queue' },
    ])
    const unknown = await rig.app.request(`${path}acme/none`)
    expect([unknown.status, await unknown.text()]).toEqual([404, 'null'])
  })
})

describe('operation', () => {
  test('health, and readiness with what is not ready', async () => {
    expect(await (await rig.app.request('/health')).json()).toEqual({ status: 'ok', runners: [] })
    await rig.close()
    rig = await createGatewayRig({
      dependencies: () => ({
        readiness: {
          database: async () => undefined,
          runner: () => Promise.reject(new Error('no runner')),
          files: () => Promise.reject(Object.assign(new Error('/srv/secret is full'), { outage: 'No space left' })),
        },
      }),
    })
    const response = await rig.app.request('/ready')
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({
      status: 'unavailable',
      checks: { database: 'ok', runner: 'no runner', files: 'No space left' },
    })
  })

  test('metrics count requests by surface and look into the queue', async () => {
    await rig.app.request('/queue/acme/echo', BODY)
    await rig.app.request('/made-up-segment')
    const text = await (await rig.app.request('/metrics')).text()
    expect(text).toContain('darkroom_http_requests_total{surface="queue",method="POST",status="200"} 1')
    expect(text).toContain('darkroom_http_requests_total{surface="other",method="GET",status="404"} 1')
    expect(text).toContain('darkroom_queue_requests{endpoint="acme/echo",state="queued"} 1')
    expect(text).toContain('darkroom_runners 0')
  })
})
