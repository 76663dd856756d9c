import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createGatewayRig, type GatewayRig } from '../../../test/fakes/gateway-rig.ts'
import { requestError } from '../../errors/errors.ts'

let rig: GatewayRig

beforeEach(async () => {
  rig = await createGatewayRig()
})

afterEach(() => rig.close())

function run(body: string, init: { path?: string; headers?: Record<string, string>; signal?: AbortSignal } = {}) {
  return rig.app.request(init.path ?? '/run/acme/echo', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...init.headers },
    ...(init.signal === undefined ? {} : { signal: init.signal }),
  })
}

describe('run', () => {
  test('answers what the handler answered, the input coerced as pydantic does', async () => {
    const response = await run('{"prompt": 2.0, "count": "3", "seed": 9007199254740993, "_force_msgpack": 1}')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('x-fal-billable-units')).toBe('1')
    expect(response.headers.get('x-fal-request-id')).toBe(rig.conversations[0]?.requestId)
    expect(await response.text()).toBe('{"prompt":"2.0","count":3,"seed":9007199254740993}')
  })

  test('tells the channel who asks, for how long and where files are', async () => {
    await run('{"prompt":"a"}', {
      path: '/run/acme/echo/twice/',
      headers: {
        'x-fal-request-timeout': '2.5',
        'x-fal-runner-hint': 'lora:a',
        'x-fal-object-lifecycle-preference': '{}',
        'x-forwarded-host': 'darkroom.test',
        'x-forwarded-proto': 'https',
      },
    })
    expect(rig.conversations).toMatchObject([
      {
        endpointId: 'acme/echo/twice',
        filesUrl: 'https://darkroom.test/cdn',
        startTimeoutSeconds: 2.5,
        runnerHint: 'lora:a',
        objectLifecycle: '{}',
        streaming: false,
        inlineBytes: false,
      },
    ])
  })

  test('an unknown id is told the near ones, and a base URL without its surface what it lacks, both in the message alone', async () => {
    const slip = await run('{}', { path: '/run/acme/ecko' })
    expect(await slip.json()).toEqual({
      detail: 'Application "ecko" not found',
      message: 'Application "ecko" not found. Near it: acme/echo',
    })
    const path = await run('{}', { path: '/run/acme/echo/twise' })
    expect(await path.json()).toMatchObject({
      detail: 'Path /twise not found',
      message: expect.stringContaining('Near it: acme/echo/twice'),
    })
    for (const behind of ['', '/', '/stream', '/requests/019afd9c-0000-7000-8000-000000000000/status']) {
      const bare = await run('{}', { path: `/acme/echo${behind}` })
      expect([bare.status, await bare.json()]).toEqual([
        404,
        {
          detail: 'Not Found',
          message:
            'Not Found. The base URL lacks the surface: POST http://localhost/run/acme/echo answers at once, http://localhost/queue/acme/echo queues',
        },
      ])
    }
    expect(await (await run('{}', { path: '/acme/none' })).json()).toEqual({
      detail: 'Not Found',
      message: 'Not Found',
    })
  })

  test('a wrong input is refused without a runner', async () => {
    const response = await run('{"prompt":null,"count":0}')
    expect(response.status).toBe(422)
    expect(response.headers.get('x-fal-billable-units')).toBe('0')
    expect(await response.text()).toBe(
      '{"detail":[{"loc":["body","prompt"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"},' +
        '{"loc":["body","count"],"msg":"ensure this value is greater than or equal to 1",' +
        '"type":"value_error.number.not_ge","ctx":{"limit_value":1}}],' +
        '"message":"prompt: none is not an allowed value; count: ensure this value is greater than or equal to 1"}',
    )
    expect(rig.conversations).toEqual([])
  })

  test('a body that does not say it is JSON is no dict', async () => {
    const response = await run('prompt=a', { headers: { 'content-type': 'application/x-www-form-urlencoded' } })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ detail: [{ loc: ['body'], type: 'type_error.dict' }] })
  })

  test('input too deep to read is 400, whatever its depth', async () => {
    for (const depth of [2_000, 1_000_000]) {
      const response = await run('['.repeat(depth))
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ detail: 'There was an error parsing the body' })
    }
  })

  test('GET takes the input from the query', async () => {
    const response = await rig.app.request('/run/acme/echo?prompt=a&count=2')
    expect(await response.json()).toEqual({ prompt: 'a', count: 2 })
  })

  test('the handler’s own status and body come through', async () => {
    rig.converse = async function* () {
      yield { type: 'result', status: 422, headers: {}, output: { detail: 'Target modules not found' } }
    }
    const response = await run('{"prompt":"a"}')
    expect([response.status, await response.text()]).toEqual([422, '{"detail":"Target modules not found"}'])
  })

  test('the caller’s own start timeout is named as such', async () => {
    rig.converse = () => {
      throw requestError('request_timeout', 'Request timed out')
    }
    const own = await run('{"prompt":"a"}', { headers: { 'x-fal-request-start-timeout': '1' } })
    expect(own.status).toBe(504)
    expect(own.headers.get('x-fal-request-timeout-type')).toBe('user')
    expect(own.headers.get('x-fal-error-type')).toBe('request_timeout')
    expect(await own.text()).toBe(
      '{"detail": "Request timed out", "error_type": "request_timeout", "message": "Request timed out"}',
    )
    const other = await run('{"prompt":"a"}')
    expect(other.headers.get('x-fal-request-timeout-type')).toBeNull()
  })

  test('a client that goes away aborts the work', async () => {
    const leaving = new AbortController()
    let aborted = false
    rig.converse = async function* (_input, _options, signal) {
      yield { type: 'started' }
      leaving.abort()
      aborted = signal.aborted
    }
    const response = await run('{"prompt":"a"}', { signal: leaving.signal })
    expect(aborted).toBe(true)
    expect(response.status).toBe(499)
  })

  test('a conversation that ends without a result', async () => {
    rig.converse = async function* () {
      yield { type: 'started' }
    }
    const response = await run('{"prompt":"a"}')
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ error_type: 'runner_incomplete_response' })
  })

  test('a defect says nothing of itself, and is logged', async () => {
    rig.converse = () => {
      throw new TypeError('secret')
    }
    const response = await run('{"prompt":"a"}')
    expect(response.status).toBe(500)
    expect(await response.text()).toBe('{"detail": "Internal Server Error", "message": "Internal Server Error"}')
    expect(rig.logged).toMatchObject([{ message: 'request failed', fields: { err: { message: 'secret' } } }])
  })

  test('other methods and ids without an application', async () => {
    expect((await rig.app.request('/run/acme/echo', { method: 'PUT' })).status).toBe(405)
    const short = await rig.app.request('/run/acme', { method: 'POST' })
    expect([short.status, await short.text()]).toEqual([404, '404: Not Found'])
  })

  test('runs are kept for the listings', async () => {
    await run('{"prompt":"a"}')
    await run('{}')
    const list = async () => (await rig.queue.list({ account: 'default', endpointId: 'acme/echo', limit: 10 })).requests
    await expect.poll(async () => (await list()).map((request) => request.outcome?.status)).toEqual([422, 200])
  })
})
