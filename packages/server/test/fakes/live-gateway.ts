import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { createDirectChannel } from '../../src/channel/channel-client.ts'
import { readConfig } from '../../src/config/config.ts'
import { createCatalogue } from '../../src/endpoints/catalogue.ts'
import type { RunnableEndpoint } from '../../src/endpoints/endpoint.ts'
import { createApp } from '../../src/gateway/app.ts'
import { createGatewayBounds } from '../../src/gateway/bounds.ts'
import type { GatewayDependencies } from '../../src/gateway/dependencies.ts'
import { httpOverWebSocket } from '../../src/gateway/http-over-websocket.ts'
import type { KeyStore, VerifiedKey } from '../../src/gateway/key-store.ts'
import { createGatewayMetrics } from '../../src/gateway/metrics.ts'
import { type RealtimeSettings, realtimeService } from '../../src/gateway/realtime.ts'
import { createRealtimeTokens, type RealtimeTokens } from '../../src/gateway/realtime-tokens.ts'
import { attachWebSockets, type WebSockets } from '../../src/gateway/web-sockets.ts'
import { DEFAULT_ACCOUNT, type RequestQueue } from '../../src/queue/request-queue.ts'
import { type Runner, startRunner } from '../../src/runner/runner.ts'
import { FAKE_ENDPOINTS, fakeFiles } from './fake-endpoints.ts'
import { storageOf } from './gateway-storage.ts'
import { SILENT_LOG } from './silent-log.ts'
import { openTestQueue } from './test-queue.ts'

export interface LiveGateway {
  /** `http://127.0.0.1:41234` */
  readonly url: string
  readonly queue: RequestQueue
  readonly tokens: RealtimeTokens
  readonly sockets: WebSockets
  /** The HTTP API without the port. */
  readonly app: ReturnType<typeof createApp>
  /** Those started so far. */
  readonly runners: readonly Runner[]
  startRunner(): Promise<Runner>
  close(): Promise<void>
}

export interface LiveGatewayOptions {
  readonly endpoints?: readonly RunnableEndpoint[]
  readonly keys?: KeyStore
  readonly realtime?: RealtimeSettings
  readonly pingSeconds?: number
  readonly capacity?: number
}

/** The one key of `oneKey`. */
export const KEY_ID = 'test-key'
export const KEY = `${KEY_ID}:test-secret`

const verified: VerifiedKey = { keyId: KEY_ID, account: DEFAULT_ACCOUNT, scope: 'API' }

export const oneKey: KeyStore = {
  verify: async (keyId, secret) => (`${keyId}:${secret}` === KEY ? verified : undefined),
  find: async (keyId) => (keyId === KEY_ID ? verified : undefined),
  create: () => Promise.reject(new Error('not in this test')),
  list: async () => [],
  revoke: async () => false,
}

/** Gateway, direct channel and a runner with the fake endpoints, on a real port. */
export async function startLiveGateway(options: LiveGatewayOptions = {}): Promise<LiveGateway> {
  const endpoints = options.endpoints ?? FAKE_ENDPOINTS
  const queue = await openTestQueue()
  const tokens = createRealtimeTokens(randomBytes(32))
  const files = await mkdtemp(join(tmpdir(), 'darkroom-files-'))
  const config = readConfig({ host: '127.0.0.1', port: 0 }, {})
  const dependencies: GatewayDependencies = {
    config,
    queue,
    channel: createDirectChannel({ queue, runnerWaitSeconds: 5 }),
    catalogue: createCatalogue(endpoints.map((endpoint) => endpoint.schema)),
    tokens,
    ...storageOf(files),
    webhookKeys: [],
    metrics: createGatewayMetrics(),
    bounds: createGatewayBounds(config.limits),
    log: SILENT_LOG,
    ...(options.keys === undefined ? {} : { keys: options.keys }),
  }
  const app = createApp(dependencies)
  const server = createAdaptorServer({ fetch: app.fetch })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sockets = attachWebSockets(
    server as Parameters<typeof attachWebSockets>[0],
    [httpOverWebSocket(app.fetch, dependencies), realtimeService(dependencies, options.realtime)],
    dependencies,
    options,
  )
  const runners: Runner[] = []
  const start = async () => {
    const runner = await startRunner({
      queue,
      endpoints,
      files: fakeFiles,
      log: SILENT_LOG,
      arithmetic: { device: 'cpu', precision: 'exact' },
      memoryBytes: 0,
      capacity: options.capacity ?? 1,
    })
    runners.push(runner)
    return runner
  }
  await start()
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queue,
    tokens,
    sockets,
    app,
    runners,
    startRunner: start,
    async close() {
      await sockets.close(0)
      if ('closeAllConnections' in server) server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await dependencies.channel.close()
      await Promise.all(runners.map((runner) => runner.drain(0)))
      await queue.close()
      await rm(files, { recursive: true, force: true })
    },
  }
}
