import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiError, createFalClient, type FalClient, type QueueStatus, ValidationError } from '@fal-ai/client'
import { getRequestListener } from '@hono/node-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ChannelEvent } from '../../src/channel/direct-channel.ts'
import { createSqlKeyStore } from '../../src/gateway/sql-key-store.ts'
import type { ClaimedRequest } from '../../src/queue/request-queue.ts'
import { createGatewayRig, type GatewayRig } from '../fakes/gateway-rig.ts'

// The unmodified JS client against the listening gateway, in the two ways its configuration offers.

const SURFACES: Readonly<Record<string, string>> = {
  'https://fal.run': '/run',
  'https://queue.fal.run': '/queue',
  'https://rest.fal.ai': '/rest',
}

let rig: GatewayRig
let server: Server
let base: string
let credentials: string

beforeAll(async () => {
  rig = await createGatewayRig({
    config: { auth: 'keys' },
    dependencies: (database) => ({ keys: createSqlKeyStore(database) }),
  })
  const key = await createSqlKeyStore(rig.database).create('compat', 'API', 'default')
  credentials = `${key.keyId}:${key.secret}`
  server = createServer(getRequestListener(rig.app.fetch))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rig.close()
})

beforeEach(() => {
  rig.converse = repeat
})

async function* repeat(input: unknown): AsyncIterable<ChannelEvent> {
  yield { type: 'result', status: 200, headers: {}, output: input }
}

function byMiddleware(key: string): FalClient {
  return createFalClient({
    credentials: key,
    requestMiddleware: async (request) => {
      const { origin } = new URL(request.url)
      return { ...request, url: request.url.replace(origin, `${base}${SURFACES[origin]}`) }
    },
  })
}

function byProxy(key: string): FalClient {
  return createFalClient({ credentials: key, proxyUrl: { url: `${base}/api/fal/proxy`, when: 'always' } })
}

const log = (message: string) => ({ timestamp: new Date(), level: 'INFO' as const, message })

/** The next waiting request, as soon as there is one. */
async function claimNext(): Promise<ClaimedRequest> {
  for (;;) {
    const claimed = await rig.queue.claim('runner-of-test', ['acme/echo', 'acme/echo/twice'], [])
    if (claimed !== undefined) return claimed
    await new Promise<void>((resolve) => {
      const unsubscribe = rig.queue.onWork(() => {
        unsubscribe()
        resolve()
      })
    })
  }
}

const INPUT = { prompt: 'a', count: 2 }
const OUTCOME = { status: 200, headers: {}, body: '{"prompt":"a","count":2}', inferenceSeconds: 0.5 }

describe.each([
  ['requestMiddleware', byMiddleware],
  ['proxyUrl', byProxy],
])('by %s', (_way, createClient) => {
  let fal: FalClient

  beforeEach(() => {
    fal = createClient(credentials)
  })

  test('run', async () => {
    const result = await fal.run('acme/echo/twice', { input: INPUT, startTimeout: 30 })
    expect(result.data).toEqual(INPUT)
    expect(result.requestId).toBe(rig.conversations.at(-1)?.requestId)
    expect(rig.conversations.at(-1)).toMatchObject({ endpointId: 'acme/echo/twice', startTimeoutSeconds: 30 })
  })

  test('a refused input is a ValidationError that says what is wrong', async () => {
    const error = await fal.run('acme/echo', { input: { count: 99 } as never }).catch((caught) => caught)
    expect(error).toBeInstanceOf(ValidationError)
    expect(error).toMatchObject({
      status: 422,
      message: 'prompt: field required; count: ensure this value is less than or equal to 8',
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect((error as ValidationError).getFieldErrors('prompt')).toEqual([
      { loc: ['body', 'prompt'], msg: 'field required', type: 'value_error.missing' },
    ])
  })

  test('an unknown application and a wrong key are ApiErrors with fal’s words', async () => {
    const unknown = await fal.run('acme/none', { input: {} }).catch((caught) => caught)
    expect(unknown).toBeInstanceOf(ApiError)
    expect(unknown).toMatchObject({ status: 404, body: { detail: 'Application "none" not found' } })
    const stranger = await createClient('a:b')
      .queue.submit('acme/echo', { input: INPUT })
      .catch((caught) => caught)
    expect(stranger).toMatchObject({ status: 401, message: 'No user found for Key ID and Secret' })
  })

  test('submit, status, result', async () => {
    const { request_id: requestId } = await fal.queue.submit('acme/echo/twice', {
      input: INPUT,
      priority: 'low',
      webhookUrl: 'https://hooks.test/a?b=c',
      hint: 'lora:a',
    })
    const waiting = await fal.queue.status('acme/echo/twice', { requestId, logs: true })
    expect(waiting).toMatchObject({ status: 'IN_QUEUE', queue_position: 0, request_id: requestId })
    const early = await fal.queue.result('acme/echo/twice', { requestId }).catch((caught) => caught)
    expect(early).toMatchObject({ status: 400, message: 'Request is still in progress' })
    const claimed = await claimNext()
    expect(claimed).toMatchObject({ priority: 'low', webhookUrl: 'https://hooks.test/a?b=c', runnerHint: 'lora:a' })
    await rig.queue.complete(claimed, OUTCOME)
    const done = await fal.queue.status('acme/echo/twice', { requestId })
    expect(done).toMatchObject({ status: 'COMPLETED', metrics: { inference_time: 0.5 } })
    const result = await fal.queue.result('acme/echo/twice', { requestId })
    expect(result).toEqual({ data: INPUT, requestId })
  })

  test('cancel a waiting request; a finished one cannot be', async () => {
    const { request_id: requestId } = await fal.queue.submit('acme/echo', { input: INPUT })
    await fal.queue.cancel('acme/echo', { requestId })
    const result = await fal.queue.result('acme/echo', { requestId }).catch((caught) => caught)
    expect(result).toMatchObject({ status: 499, body: { error_type: 'client_cancelled' } })
    const again = await fal.queue.cancel('acme/echo', { requestId }).catch((caught) => caught)
    expect(again).toMatchObject({ status: 400, body: { status: 'ALREADY_COMPLETED' } })
  })

  test.each(['polling', 'streaming'] as const)('subscribe by %s, with logs', async (mode) => {
    const updates: QueueStatus[] = []
    let messages: string[] = []
    let noticed: (() => void) | undefined
    const subscribed = fal.subscribe('acme/echo', {
      input: INPUT,
      logs: true,
      mode,
      pollInterval: 5,
      onQueueUpdate: (update) => {
        updates.push(update)
        // The snippet of every model page: it throws when the logs are null.
        if (update.status === 'IN_PROGRESS') messages = update.logs.map((entry) => entry.message)
        noticed?.()
      },
    })
    const seen = async (done: () => boolean) => {
      while (!done()) {
        await new Promise<void>((resolve) => {
          noticed = resolve
        })
      }
    }
    await seen(() => updates.some((update) => update.status === 'IN_QUEUE'))
    const claimed = await claimNext()
    await rig.queue.appendLogs(claimed, [log('step 1')])
    await seen(() => messages.includes('step 1'))
    await rig.queue.appendLogs(claimed, [log('step 2')])
    await seen(() => messages.includes('step 2'))
    await rig.queue.complete(claimed, OUTCOME)
    const result = await subscribed
    expect(result).toEqual({ data: INPUT, requestId: claimed.requestId })
    expect(updates.at(-1)?.status).toBe('COMPLETED')
    // A poll's answer is whole, and the client joins the stream's: either way every line is there once.
    expect(messages).toEqual(['step 1', 'step 2'])
  })

  test('subscribe to what fails in the model throws its error', async () => {
    const subscribed = fal.subscribe('acme/echo', { input: { prompt: ['x'] } as never, pollInterval: 5 })
    await rig.queue.complete(await claimNext(), {
      status: 422,
      headers: { 'x-fal-billable-units': '0' },
      body: '{"detail":[{"loc":["body","prompt"],"msg":"str type expected","type":"type_error.str"}],"message":"prompt: str type expected"}',
    })
    const error = await subscribed.catch((caught) => caught)
    expect(error).toBeInstanceOf(ValidationError)
    expect(error.message).toBe('prompt: str type expected')
  })

  test('streamStatus and subscribeToStatus', async () => {
    const { request_id: requestId } = await fal.queue.submit('acme/echo', { input: INPUT })
    const stream = await fal.queue.streamStatus('acme/echo', { requestId, logs: true })
    const states: string[] = []
    stream.on('data', (status) => states.push(status.status))
    const claimed = await claimNext()
    await rig.queue.appendLogs(claimed, [log('one')])
    await rig.queue.complete(claimed, OUTCOME)
    expect(await stream.done()).toMatchObject({ status: 'COMPLETED', request_id: requestId })
    expect(states.at(-1)).toBe('COMPLETED')
    expect(await fal.queue.subscribeToStatus('acme/echo', { requestId, pollInterval: 5 })).toMatchObject({
      status: 'COMPLETED',
    })
  })
})

describe('a listening gateway', () => {
  afterEach(() => {
    rig.converse = repeat
  })

  test('a client that goes away aborts its run', async () => {
    let started: (() => void) | undefined
    const working = new Promise<void>((resolve) => {
      started = resolve
    })
    let aborted: (() => void) | undefined
    const stopped = new Promise<void>((resolve) => {
      aborted = resolve
    })
    rig.converse = async function* (_input, _options, signal) {
      started?.()
      signal.addEventListener('abort', () => aborted?.(), { once: true })
      await stopped
      yield { type: 'started' }
    }
    const leaving = new AbortController()
    const call = byMiddleware(credentials)
      .run('acme/echo', { input: INPUT, abortSignal: leaving.signal })
      .catch((caught) => caught)
    await working
    leaving.abort()
    await stopped
    expect(await call).toBeInstanceOf(Error)
  })

  test('answers 413 to a body over the limit and goes on serving', async () => {
    const authorization = `Key ${credentials}`
    const headers = { authorization, 'content-type': 'application/json', 'content-length': String(200 * 1024 * 1024) }
    const { request } = await import('node:http')
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const call = request(`${base}/run/acme/echo`, { method: 'POST', headers }, (response) => {
        resolve(response.statusCode)
        call.destroy()
      })
      call.on('error', reject)
      call.write('{"prompt":"')
    })
    expect(status).toBe(413)
    expect((await byMiddleware(credentials).run('acme/echo', { input: INPUT })).data).toEqual(INPUT)
  })
})
