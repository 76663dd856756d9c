import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createDarkroomClient, type DarkroomClientConfig } from '@darkroom/client'
import type { ApiError } from '@fal-ai/client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createGate } from '../fakes/fake-endpoints.ts'
import { KEY, KEY_ID, type LiveGateway, oneKey, startLiveGateway } from '../fakes/live-gateway.ts'

let gateway: LiveGateway
const connections: { close(): void }[] = []
const hadWebSocket = 'WebSocket' in globalThis

beforeAll(async () => {
  gateway = await startLiveGateway({ keys: oneKey })
})
afterEach(() => {
  for (const connection of connections.splice(0)) connection.close()
})
afterAll(async () => {
  await gateway.close()
  if (!hadWebSocket) Reflect.deleteProperty(globalThis, 'WebSocket')
})

const client = (config: Partial<DarkroomClientConfig> = {}) =>
  createDarkroomClient({ url: gateway.url, credentials: KEY, ...config })

type Output = Record<string, unknown>

/** Connects as the client's documentation shows, and collects what comes. */
function connect(endpointId: string, options: Record<string, unknown> = {}, fal = client()) {
  const results: Output[] = []
  const errors: ApiError<Output>[] = []
  let wake = () => {}
  const connection = fal.realtime.connect<Output, Output>(endpointId, {
    connectionKey: crypto.randomUUID(),
    throttleInterval: 0,
    onResult: (result) => {
      results.push(result)
      wake()
    },
    onError: (error) => {
      errors.push(error)
      wake()
    },
    ...options,
  })
  connections.push(connection)
  const until = async (done: () => boolean) => {
    while (!done()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  return { connection, results, errors, until }
}

describe('createDarkroomClient', () => {
  it('runs', async () => {
    const { data, requestId } = await client().run('fake/echo', { input: { prompt: 'a' } })
    expect(data).toEqual({ prompt: 'a' })
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('streams, with the key and with a token', async () => {
    for (const connectionMode of ['server', 'client'] as const) {
      const tokenProvider = () => gateway.tokens.mint({ keyId: KEY_ID, allowedApps: ['steps'], expiresInSeconds: 60 })
      const stream = await client().stream('fake/steps', { input: { steps: 2 }, connectionMode, tokenProvider })
      const events: unknown[] = []
      for await (const event of stream) events.push(event)
      expect(events).toEqual([{ step: 1 }, { step: 2 }, { done: 2 }])
      expect(await stream.done()).toEqual({ done: 2 })
    }
  })

  it('rejects with the field errors of a 422', async () => {
    const error = await client()
      .run('fake/refuse', { input: { image_url: 'x' } })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'ValidationError', status: 422, message: expect.stringContaining('image_url') })
  })

  it('composes with the middleware of its user', async () => {
    const seen: string[] = []
    const fal = client({
      requestMiddleware: async (request) => {
        seen.push(request.url)
        return request
      },
    })
    await fal.run('fake/echo', { input: {} })
    expect(seen).toEqual(['https://fal.run/fake/echo'])
  })
})

describe('realtime through the unmodified client', () => {
  it('sends MessagePack, gets pictures as bytes, and leaves the global as it was', async () => {
    const before = (globalThis as { WebSocket?: unknown }).WebSocket
    const { connection, results, errors, until } = connect('fake/picture')
    connection.send({ size: 3, seed: 7, request_id: 'r1' })
    await until(() => results.length === 1)
    expect(results[0]).toEqual({
      images: [{ url: 'data:image/png;base64,BwcH', content: Uint8Array.of(7, 7, 7), content_type: 'image/png' }],
      seed: 7,
      request_id: 'r1',
    })
    expect(errors).toEqual([])
    if (before !== undefined) expect((globalThis as { WebSocket?: unknown }).WebSocket).toBe(before)
  })

  it('speaks JSON where it is told to', async () => {
    const { connection, results, until } = connect('fake/picture', {
      encodeMessage: (input: unknown) => JSON.stringify(input),
    })
    connection.send({ size: 3 })
    await until(() => results.length === 1)
    expect(results[0]).toMatchObject({ images: [{ url: 'data:image/png;base64,BwcH' }] })
  })

  it('goes to an explicit path', async () => {
    const { connection, results, until } = connect('fake/echo', { path: 'ws' })
    connection.send({ tag: 1 })
    await until(() => results.length === 1)
    expect(results[0]).toEqual({ tag: 1 })
  })

  it('reports an error to onError and goes on', async () => {
    const { connection, results, errors, until } = connect('fake/echo')
    connection.send({ prompt: [] })
    await until(() => errors.length === 1)
    expect(errors[0]).toMatchObject({ status: 400, message: 'VALIDATION_ERROR: prompt: str type expected' })
    expect(errors[0]?.body).toMatchObject({ status_code: 422, detail: [{ loc: ['body', 'prompt'] }] })
    connection.send({ prompt: 'text' })
    await until(() => results.length === 1)
    expect(results[0]).toEqual({ prompt: 'text' })
  })

  it('drops older inputs with maxBuffering', async () => {
    const gate = createGate()
    const gated = await startLiveGateway({ endpoints: [gate.endpoint] })
    try {
      const { connection, results, until } = connect('fake/gate', { maxBuffering: 1 }, client({ url: gated.url }))
      connection.send({ tag: 1 })
      await gate.entered
      for (let tag = 2; tag <= 5; tag++) connection.send({ tag })
      // The runner's answer is behind the gateway's reading of these four.
      setTimeout(gate.open, 200)
      await until(() => results.length === 2)
      expect(results.map((result) => result.tag)).toEqual([1, 5])
    } finally {
      await gated.close()
    }
  })

  it('connects again after the server closed an idle connection', async () => {
    const idle = await startLiveGateway({ keys: oneKey, realtime: { idleSeconds: 0.05 } })
    try {
      const { connection, results, errors, until } = connect('fake/echo', {}, client({ url: idle.url }))
      connection.send({ tag: 1 })
      await until(() => results.length === 1)
      await new Promise((resolve) => setTimeout(resolve, 150))
      connection.send({ tag: 2 })
      await until(() => results.length === 2)
      expect(errors).toEqual([])
    } finally {
      await idle.close()
    }
  })

  it('tries the same token again on the Darkroom after a connection that failed', async () => {
    const paths: (string | undefined)[] = []
    const down = createServer().on('upgrade', (request, socket) => {
      paths.push(request.url)
      socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n')
    })
    await new Promise<void>((resolve) => down.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(down.address() as AddressInfo).port}`
    const { connection, until } = connect('fake/echo', { tokenProvider: async () => 'the-token' }, client({ url }))
    const attempt = setInterval(() => connection.send({ tag: 1 }), 20)
    await until(() => paths.length === 2)
    clearInterval(attempt)
    connection.close()
    connection.send({ tag: 2 })
    await until(() => paths.length === 3)
    expect(paths).toEqual(Array(3).fill('/run/fake/echo/realtime?fal_jwt_token=the-token'))
    await new Promise((resolve) => down.close(resolve))
  })

  it('says that a token was refused', async () => {
    const { connection, errors, until } = connect('fake/echo', {}, client({ credentials: 'wrong:key' }))
    connection.send({ tag: 1 })
    await until(() => errors.length === 1)
    expect(errors[0]).toMatchObject({ status: 401, message: 'No user found for Key ID and Secret' })
  })
})
