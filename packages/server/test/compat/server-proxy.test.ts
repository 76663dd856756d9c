import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiError, createFalClient, type FalClient } from '@fal-ai/client'
import { createHandler } from '@fal-ai/server-proxy/express'
import { createRouteHandler as createHonoRoute } from '@fal-ai/server-proxy/hono'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'
import { answerAsRoute, importWithNextServer, type RouteHandlers } from './next-server.ts'

// A browser app's own backend holds the key and relays with fal's published proxy; behind it, fal's hosts lead here.

const ROUTE = '/api/fal/proxy'
const PROMPT = { prompt: 'a king', image_size: 'square', num_inference_steps: 2 } as const

let server: WholeServer
let restore: () => Promise<void>

// The proxy warns when it is imported, and of each configuration.
const { warn } = vi.hoisted(() => ({ warn: vi.spyOn(console, 'warn').mockImplementation(() => {}) }))

beforeAll(async () => {
  server = await startWholeServer({ tls: true })
  restore = answerForFal(server)
})

afterAll(async () => {
  warn.mockRestore()
  await restore()
  await server.close()
})

type ProxyConfig = Parameters<typeof createHandler>[0]

function expressApp(config: ProxyConfig): RequestListener {
  const app = express()
  app.use(express.json())
  app.all(ROUTE, createHandler(config))
  return app
}

function honoApp(config: ProxyConfig): RequestListener {
  const app = new Hono()
  const handler = createHonoRoute(config)
  app.all(ROUTE, (c) => handler(c as never))
  app.onError((error, c) => c.text(error.message, 500))
  return getRequestListener(app.fetch)
}

/** As an app's `route.ts` has it: `export const { GET, POST, PUT } = createRouteHandler()`. */
async function nextApp(config: ProxyConfig): Promise<RequestListener> {
  const { createRouteHandler } = await importWithNextServer(() => import('@fal-ai/server-proxy/nextjs'))
  const handlers = createRouteHandler(config) as unknown as RouteHandlers
  return getRequestListener((request) => answerAsRoute(handlers, request))
}

interface Adapter {
  readonly name: string
  listener(config: ProxyConfig): RequestListener | Promise<RequestListener>
  /** The Express adapter never copies the upstream's status where the body streams, which is always: errors look like results. */
  readonly keepsStatus: boolean
  /** The Hono adapter parses every body as JSON, and the client cancels without one. */
  readonly cancels: boolean
}

const ADAPTERS: readonly Adapter[] = [
  { name: 'Hono', listener: honoApp, keepsStatus: true, cancels: false },
  { name: 'Express', listener: expressApp, keepsStatus: false, cancels: true },
  { name: 'Next.js app router', listener: nextApp, keepsStatus: true, cancels: true },
]

describe.each(ADAPTERS)('@fal-ai/server-proxy for $name', ({ listener, keepsStatus, cancels }) => {
  let proxy: Server
  let fal: FalClient

  beforeAll(async () => {
    const config: ProxyConfig = {
      allowedEndpoints: ['fal-ai/**', 'fake/**'],
      resolveFalAuth: async () => `Key ${server.key}`,
    }
    proxy = createServer(await listener(config))
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    const { port } = proxy.address() as AddressInfo
    // In a page, `proxyUrl: '/api/fal/proxy'`.
    fal = createFalClient({ proxyUrl: { url: `http://127.0.0.1:${port}${ROUTE}`, when: 'always' } })
  })

  afterAll(async () => {
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
  })

  test('run', async () => {
    const { data, requestId } = await fal.run('fal-ai/fast-lcm-diffusion', { input: PROMPT })
    expect(data.images).toHaveLength(1)
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('subscribe with logs', async () => {
    let lines: string[] = []
    const { data } = await fal.subscribe('fal-ai/fast-lcm-diffusion', {
      input: { ...PROMPT, num_inference_steps: 30 },
      logs: true,
      pollInterval: 10,
      onQueueUpdate: (update) => {
        if (update.status === 'IN_PROGRESS') lines = update.logs.map(({ message }) => message)
      },
    })
    expect(data.images).toHaveLength(1)
    expect(lines[0]).toBe('Step 1/30')
  })

  test('stream, although the proxy asks for JSON', async () => {
    const stream = await fal.stream('fal-ai/fast-lcm-diffusion', { input: PROMPT })
    let events = 0
    stream.on('data', () => {
      events += 1
    })
    expect((await stream.done()).images).toHaveLength(1)
    expect(events).toBe(3)
  })

  test('storage.upload', async () => {
    const url = await fal.storage.upload(new File(['hello'], 'hello.txt', { type: 'text/plain' }))
    expect(await (await fetch(url)).text()).toBe('hello')
  })

  test('a refused input', async () => {
    const outcome = await fal.run('fal-ai/fast-lcm-diffusion', { input: { prompt: [1] } as never }).catch((e) => e)
    const body = { detail: [{ loc: ['body', 'prompt'], msg: 'str type expected', type: 'type_error.str' }] }
    expect(outcome instanceof ApiError).toBe(keepsStatus)
    expect(outcome).toMatchObject(keepsStatus ? { status: 422, body } : { data: body })
  })

  test('cancel', async () => {
    const { request_id: requestId } = await fal.queue.submit('fake/steps', { input: { steps: 1000, ms: 20 } })
    const cancelled = await fal.queue.cancel('fake/steps', { requestId }).then(
      () => true,
      () => false,
    )
    expect(cancelled).toBe(cancels)
    if (!cancels) await createFalClient({ credentials: server.key }).queue.cancel('fake/steps', { requestId })
    const status = await fal.queue.subscribeToStatus('fake/steps', { requestId, pollInterval: 10 })
    expect(status.status).toBe('COMPLETED')
  })
})

test('the proxy’s own refusal', async () => {
  const handler = await nextApp({ allowedEndpoints: ['fal-ai/**'] })
  const proxy = createServer(handler)
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const { port } = proxy.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}${ROUTE}`, { method: 'POST', body: '{}' })
  expect([response.status, await response.json()]).toEqual([400, 'Invalid request'])
  proxy.closeAllConnections()
  await new Promise((resolve) => proxy.close(resolve))
})
