/** The gateway process of `overhead.ts`: HTTP, realtime and the direct channel, with the one runner the parent names. */
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { createDirectChannel } from '../../packages/server/src/channel/channel-client.ts'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { createCatalogue } from '../../packages/server/src/endpoints/catalogue.ts'
import { createApp } from '../../packages/server/src/gateway/app.ts'
import type { GatewayDependencies } from '../../packages/server/src/gateway/dependencies.ts'
import { createGatewayMetrics } from '../../packages/server/src/gateway/metrics.ts'
import { attachRealtime } from '../../packages/server/src/gateway/realtime.ts'
import type { RequestQueue, RunnerAdvertisement } from '../../packages/server/src/queue/request-queue.ts'
import { idleSchema } from './idle-endpoint.ts'

const runner = JSON.parse(process.argv[2] ?? '') as RunnerAdvertisement
const queue = { runners: async () => [runner], record: async () => {} }
const dependencies: GatewayDependencies = {
  config: readConfig({ host: '127.0.0.1', port: 0 }, {}),
  queue: queue as unknown as RequestQueue,
  channel: createDirectChannel({ queue }),
  catalogue: createCatalogue([idleSchema]),
  metrics: createGatewayMetrics(),
  log: { debug: () => {}, info: () => {}, warn: () => {}, error: (fields, message) => console.error(message, fields) },
}
const server = createAdaptorServer({ fetch: createApp(dependencies).fetch, autoCleanupIncoming: false })
attachRealtime(server as Parameters<typeof attachRealtime>[0], dependencies)
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.once('disconnect', () => process.exit(0))
