import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createGatewayRig, type GatewayRig } from '../../../test/fakes/gateway-rig.ts'
import { createCatalogue } from '../../endpoints/catalogue.ts'
import { lcmSd15ImageToImage } from '../../endpoints/fal-ai/lcm/schema.ts'

let rig: GatewayRig

beforeEach(async () => {
  rig = await createGatewayRig()
})

afterEach(() => rig.close())

const JSON_TYPE = { 'content-type': 'application/json' }

async function submit(body: string, path = '/queue/acme/echo', headers: Record<string, string> = {}) {
  const response = await rig.app.request(path, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } })
  return { response, text: await response.text() }
}

async function submitted(body = '{"prompt":"a"}', path?: string, headers?: Record<string, string>): Promise<string> {
  const { text } = await submit(body, path, headers)
  return JSON.parse(text).request_id
}

const get = (path: string, init: RequestInit = {}) => rig.app.request(path, init)

describe('submit', () => {
  test('answers as the live service does: keys in its order, json.dumps spacing, owner and alias in the URLs', async () => {
    const { response, text } = await submit('{"prompt":"a"}', '/queue/acme/echo/twice')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
    const id = response.headers.get('x-fal-request-id')
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    const base = `http://localhost/queue/acme/echo/requests/${id}`
    expect(text).toBe(
      `{"status": "IN_QUEUE", "request_id": "${id}", "response_url": "${base}", "status_url": "${base}/status", ` +
        `"cancel_url": "${base}/cancel", "logs": null, "metrics": {}, "queue_position": 0}`,
    )
    expect((await rig.claim()).endpointId).toBe('acme/echo/twice')
  })

  test('refuses a compressed body', async () => {
    const { response } = await submit('{"prompt":"a"}', '/queue/acme/echo', { 'content-encoding': 'gzip' })
    expect(response.status).toBe(415)
    expect(
      (await submit('{"prompt":"a"}', '/queue/acme/echo', { 'content-encoding': 'identity' })).response.status,
    ).toBe(200)
  })

  test('names nothing in its URLs that no proxy would forward', async () => {
    for (const headers of [
      { 'x-forwarded-host': 'evil.test/"><script>' },
      { 'x-forwarded-proto': 'javascript' },
      { 'x-forwarded-prefix': '//evil.test' },
    ]) {
      const { text } = await submit('{"prompt":"a"}', '/queue/acme/echo', headers)
      expect(JSON.parse(text).status_url).toMatch(/^http:\/\/localhost\/queue\/acme\/echo\/requests\//)
    }
  })

  test('refuses a lifecycle of generated files that cannot be read', async () => {
    for (const lifecycle of ['{', '{"expiration_duration_seconds":"1h"}', '{"initial_acl":{"default":"deny"}}']) {
      const headers = { 'x-fal-object-lifecycle-preference': lifecycle }
      const { response, text } = await submit('{"prompt":"a"}', '/queue/acme/echo', headers)
      expect([response.status, JSON.parse(text).error_type]).toEqual([400, 'bad_request'])
      expect((await submit('{"prompt":"a"}', '/run/acme/echo', headers)).response.status).toBe(400)
    }
    expect([await rig.queue.load(), rig.conversations]).toEqual([[], []])
  })

  test.each([
    ['ftp://a.test/', 'fal_webhook: expected an http or https URL, found ftp://a.test/'],
    ['http://127.0.0.1:8000/hook', 'fal_webhook: 127.0.0.1 is in a private network, which'],
    ['http://localhost:8000/hook', 'fal_webhook: localhost is in a private network, which'],
    ['http://[::1]/hook', 'fal_webhook: ::1 is in a private network, which'],
    ['http://169.254.169.254/', 'fal_webhook: 169.254.169.254 is linkLocal'],
  ])('refuses the webhook %s, to which nothing is ever sent', async (url, complaint) => {
    const { response, text } = await submit('{"prompt":"a"}', `/queue/acme/echo?fal_webhook=${encodeURIComponent(url)}`)
    expect(response.status).toBe(400)
    expect(JSON.parse(text).detail).toContain(complaint)
    expect(await rig.queue.load()).toEqual([])
  })

  test('takes a webhook of the own network where that is configured', async () => {
    await rig.close()
    rig = await createGatewayRig({ config: { allowPrivateTargets: true } })
    await submit('{"prompt":"a"}', '/queue/acme/echo?fal_webhook=http%3A%2F%2Flocalhost%2Fhook')
    expect(await rig.claim()).toMatchObject({ webhookUrl: 'http://localhost/hook' })
  })

  test('keeps the body as it came and what the headers and the query ask for', async () => {
    await submit(
      '{"seed": 18446744073709551615, "prompt": "\\ud800"}',
      '/queue/acme/echo/?fal_webhook=https%3A%2F%2Fa.test%2Fhook',
      {
        'x-fal-queue-priority': 'low',
        'x-fal-request-timeout': '30.0',
        'x-fal-no-retry': '1',
        'x-fal-store-io': '0',
        'x-fal-runner-hint': 'lora:a',
        'x-fal-object-lifecycle-preference': '{"expiration_duration_seconds":60}',
      },
    )
    expect(await rig.claim()).toMatchObject({
      input: '{"seed": 18446744073709551615, "prompt": "\\ud800"}',
      priority: 'low',
      startTimeoutSeconds: 30,
      retry: false,
      storeIo: false,
      runnerHint: 'lora:a',
      objectLifecycle: '{"expiration_duration_seconds":60}',
      webhookUrl: 'https://a.test/hook',
      filesUrl: 'http://localhost/cdn',
    })
  })

  test('the newer name of the start timeout wins, and a priority that is none is ignored', async () => {
    await submit('{}', undefined, {
      'x-fal-request-timeout': '30',
      'x-fal-request-start-timeout': '0.5',
      'x-fal-queue-priority': 'urgent',
    })
    expect(await rig.claim()).toMatchObject({
      startTimeoutSeconds: 0.5,
      priority: 'normal',
      retry: true,
      storeIo: true,
    })
  })

  test('accepts an input that the runner will refuse; the result tells', async () => {
    const id = await submitted('{"count": 9}')
    await rig.workOff()
    const result = await get(`/queue/acme/echo/requests/${id}`)
    expect(result.status).toBe(422)
    expect(result.headers.get('x-fal-billable-units')).toBe('0')
    expect(await result.json()).toEqual({
      detail: [
        { loc: ['body', 'prompt'], msg: 'field required', type: 'value_error.missing' },
        {
          loc: ['body', 'count'],
          msg: 'ensure this value is less than or equal to 8',
          type: 'value_error.number.not_le',
          ctx: { limit_value: 8 },
        },
      ],
      message: 'prompt: field required; count: ensure this value is less than or equal to 8',
    })
  })

  test('refuses URLs that nobody fetches at once, and stores nothing', async () => {
    const other = await createGatewayRig({
      dependencies: () => ({ catalogue: createCatalogue([lcmSd15ImageToImage]) }),
    })
    const response = await other.app.request('/queue/fal-ai/lcm-sd15-i2i', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"image_url":"ftp://example.com/a.png"}',
    })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      detail: [{ loc: ['body', 'image_url'], type: 'file_download_error' }],
    })
    expect(
      (await other.queue.list({ account: 'default', endpointId: 'fal-ai/lcm-sd15-i2i', limit: 1 })).requests,
    ).toEqual([])
    await other.close()
  })

  test('a body-less POST with a JSON type is accepted, and its input is missing', async () => {
    const id = await submitted('')
    await rig.workOff()
    const result = await get(`/queue/acme/echo/requests/${id}`)
    expect(await result.json()).toMatchObject({ detail: [{ loc: ['body'], type: 'value_error.missing' }] })
  })

  test('refuses what is no JSON, with the position', async () => {
    const { response, text } = await submit('{"prompt": "\u{1f600}", x}')
    expect(response.status).toBe(422)
    expect(JSON.parse(text).detail).toEqual([
      {
        loc: ['body', 16],
        msg: 'Expecting property name enclosed in double quotes: line 1 column 17 (char 16)',
        type: 'value_error.jsondecode',
        ctx: {
          msg: 'Expecting property name enclosed in double quotes',
          doc: '{"prompt": "\u{1f600}", x}',
          pos: 16,
          lineno: 1,
          colno: 17,
        },
      },
    ])
  })

  test('refuses a body over the limit before reading it', async () => {
    await rig.close()
    rig = await createGatewayRig({ environment: { DARKROOM_MAX_JSON_BYTES: '1024' } })
    const { response, text } = await submit(JSON.stringify({ prompt: 'x'.repeat(2000) }))
    expect(response.status).toBe(413)
    expect(JSON.parse(text).detail).toContain('at most 1024 bytes')
    // Without a declared length it is found while reading.
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(' '.repeat(600))),
    })
    const streamed = await rig.app.request('/queue/acme/echo', { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect(streamed.status).toBe(413)
  })

  test('refuses a queue that is longer than the caller wants', async () => {
    await submit('{}')
    const { response } = await submit('{}', '/queue/acme/echo?fal_max_queue_length=1')
    expect(response.status).toBe(429)
    expect((await submit('{}', '/queue/acme/echo?fal_max_queue_length=2')).response.status).toBe(200)
  })

  test('unknown applications and paths are told apart', async () => {
    const unknown = await submit('{}', '/queue/acme/other')
    expect(unknown.response.status).toBe(404)
    expect(unknown.text).toBe(
      '{"detail": "Application \\"other\\" not found", "message": "Application \\"other\\" not found. GET /v1/models lists the endpoints of this server"}',
    )
    const path = await submit('{}', '/queue/acme/echo/thrice')
    expect(path.response.status).toBe(404)
    expect(path.response.headers.get('x-fal-billable-units')).toBe('0')
    expect(JSON.parse(path.text).detail).toBe('Path /thrice not found')
  })

  test('the legacy id and its rewritten form lead to the endpoint', async () => {
    await submitted('{}', '/queue/110602490-legacy-echo')
    await submitted('{}', '/queue/110602490/legacy-echo')
    expect((await rig.claim()).endpointId).toBe('acme/echo')
    expect((await rig.claim()).endpointId).toBe('acme/echo')
  })
})

describe('status', () => {
  test('202 while waiting and running, 200 when done; logs only when asked for', async () => {
    const first = await submitted()
    const id = await submitted()
    const waiting = await get(`/queue/acme/echo/requests/${id}/status?logs=1`)
    expect(waiting.status).toBe(202)
    expect(waiting.headers.get('x-fal-request-id')).toBe(id)
    expect(await waiting.json()).toMatchObject({ status: 'IN_QUEUE', queue_position: 1, logs: [], metrics: {} })

    await rig.workOff()
    const claimed = await rig.claim()
    await rig.queue.appendLogs(claimed, [
      { timestamp: new Date(0), level: 'INFO', message: 'step 1', progress: { done: 1, total: 4 } },
      { timestamp: new Date(0), level: 'WARN', message: 'slow' },
    ])
    const running = await get(`/queue/acme/echo/requests/${id}/status?logs=true`)
    expect(running.status).toBe(202)
    expect(await running.json()).toEqual({
      status: 'IN_PROGRESS',
      request_id: id,
      response_url: `http://localhost/queue/acme/echo/requests/${id}`,
      status_url: `http://localhost/queue/acme/echo/requests/${id}/status`,
      cancel_url: `http://localhost/queue/acme/echo/requests/${id}/cancel`,
      logs: [
        {
          timestamp: '1970-01-01T00:00:00.000Z',
          level: 'INFO',
          source: 'USER',
          message: 'step 1',
          labels: { level: 'INFO' },
          progress: { done: 1, total: 4 },
        },
        {
          timestamp: '1970-01-01T00:00:00.000Z',
          level: 'WARN',
          source: 'USER',
          message: 'slow',
          labels: { level: 'WARN' },
        },
      ],
      metrics: {},
    })
    expect(await (await get(`/queue/acme/echo/requests/${id}/status?logs=0`)).json()).toMatchObject({ logs: null })

    const done = await get(`/queue/acme/echo/requests/${first}/status`)
    expect(done.status).toBe(200)
    const body = await done.json()
    expect(body).toMatchObject({ status: 'COMPLETED', logs: null, metrics: { inference_time: 0.25 } })
    expect(body).not.toHaveProperty('queue_position')
    expect(body).not.toHaveProperty('error')
  })

  test('what the gateway failed carries its error in the status', async () => {
    const id = await submitted()
    await rig.workOff({
      status: 503,
      body: '{"detail":"gone"}',
      error: { message: 'gone', type: 'runner_disconnected' },
    })
    const status = await get(`/queue/acme/echo/requests/${id}/status`)
    expect(await status.json()).toMatchObject({
      status: 'COMPLETED',
      error: 'gone',
      error_type: 'runner_disconnected',
    })
  })

  test.each(['acme/echo', 'acme/echo/twice', 'acme/other', '110602490-legacy-echo', 'workflows/acme/echo'])(
    'any id before the request id leads to it: %s',
    async (prefix) => {
      const id = await submitted()
      for (const end of ['', '/']) {
        expect((await get(`/queue/${prefix}/requests/${id}/status${end}`)).status).toBe(202)
        expect((await get(`/queue/${prefix}/requests/${id}${end}`)).status).toBe(400)
      }
    },
  )

  test('unknown requests', async () => {
    const nobody = '01a1fda6-8fc0-78ea-aa0c-09d34158734f'
    for (const id of [nobody, 'x', '%00', "'--"]) {
      expect((await get(`/queue/acme/echo/requests/${id}/status`)).status).toBe(404)
      expect((await get(`/queue/acme/echo/requests/${id}`)).status).toBe(404)
      expect((await get(`/queue/acme/echo/requests/${id}/status/stream`)).status).toBe(404)
      const cancel = await get(`/queue/acme/echo/requests/${id}/cancel`, { method: 'PUT' })
      expect([cancel.status, await cancel.text()]).toEqual([
        404,
        '{"status": "NOT_FOUND", "message": "There is no such request"}',
      ])
    }
  })
})

describe('result', () => {
  test('is what the runner answered, also by its alias', async () => {
    const id = await submitted('{"prompt":"a","count":"2","seed":18446744073709551615}')
    await rig.workOff({ headers: { 'x-fal-billable-units': '1', 'x-darkroom-model': 'demo' } })
    for (const path of ['', '/', '/response']) {
      const result = await get(`/queue/acme/echo/requests/${id}${path}`)
      expect(result.status).toBe(200)
      expect(result.headers.get('x-fal-billable-units')).toBe('1')
      expect(result.headers.get('x-darkroom-model')).toBe('demo')
      expect(result.headers.get('x-fal-request-id')).toBe(id)
      expect(await result.text()).toBe('{"prompt":"a","count":2,"seed":18446744073709551615}')
    }
  })

  test('is 400 while there is none', async () => {
    const id = await submitted()
    const early = await get(`/queue/acme/echo/requests/${id}`)
    expect(early.status).toBe(400)
    expect(await early.json()).toEqual({
      detail: 'Request is still in progress',
      message: 'Request is still in progress',
    })
  })
})

describe('cancel', () => {
  test('of a waiting, a running and a finished request', async () => {
    const done = await submitted()
    await rig.workOff()
    const running = await submitted()
    await rig.claim()
    const waiting = await submitted()
    const cancel = async (id: string, method: string) => {
      const response = await get(`/queue/acme/echo/requests/${id}/cancel`, { method, headers: JSON_TYPE })
      return [response.status, await response.text()]
    }
    expect(await cancel(waiting, 'PUT')).toEqual([202, '{"status": "CANCELLATION_REQUESTED"}'])
    expect(await cancel(running, 'PUT')).toEqual([202, '{"status": "CANCELLATION_REQUESTED"}'])
    expect(await cancel(done, 'POST')).toEqual([
      400,
      '{"status": "ALREADY_COMPLETED", "message": "The request is completed already"}',
    ])
    expect((await rig.queue.status(running))?.cancelRequested).toBe(true)
    const result = await get(`/queue/acme/echo/requests/${waiting}`)
    expect(result.status).toBe(499)
    expect(await result.json()).toMatchObject({ error_type: 'client_cancelled' })
  })
})

describe('status stream', () => {
  async function* events(response: Response): AsyncGenerator<Record<string, unknown>> {
    let text = ''
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk)
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) if (block.startsWith('data: ')) yield JSON.parse(block.slice('data: '.length))
    }
  }

  test('sends each change, logs only once, and ends after COMPLETED', async () => {
    const id = await submitted()
    const response = await get(`/queue/acme/echo/requests/${id}/status/stream?logs=1`)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('x-fal-request-id')).toBe(id)
    const stream = events(response)
    const next = async () => (await stream.next()).value
    expect(await next()).toMatchObject({ status: 'IN_QUEUE', queue_position: 0, logs: [] })
    const claimed = await rig.claim()
    expect(await next()).toMatchObject({ status: 'IN_PROGRESS', logs: [] })
    for (const message of ['one', 'two']) {
      await rig.queue.appendLogs(claimed, [{ timestamp: new Date(), level: 'INFO', message }])
      expect(await next()).toMatchObject({ status: 'IN_PROGRESS', logs: [{ message }] })
    }
    await rig.queue.complete(claimed, { status: 200, headers: {}, body: '{}' })
    expect(await next()).toMatchObject({ status: 'COMPLETED', logs: [] })
    expect((await stream.next()).done).toBe(true)
  })

  test('of a finished request is one event', async () => {
    const id = await submitted()
    await rig.workOff()
    const response = await get(`/queue/acme/echo/requests/${id}/status/stream`)
    const all = []
    for await (const event of events(response)) all.push(event)
    expect(all).toMatchObject([{ status: 'COMPLETED', logs: null, metrics: { inference_time: 0.25 } }])
  })

  test('stops looking when the client goes away', async () => {
    const id = await submitted()
    const metric = async () =>
      /darkroom_open_streams\{kind="status"\} (\d+)/.exec(await (await get('/metrics')).text())?.[1]
    const response = await get(`/queue/acme/echo/requests/${id}/status/stream`)
    const reader = response.body?.getReader()
    await reader?.read()
    expect(await metric()).toBe('1')
    await reader?.cancel()
    await expect.poll(metric).toBe('0')
  })
})
