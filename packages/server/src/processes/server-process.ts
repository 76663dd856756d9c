import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createAdaptorServer } from '@hono/node-server'
import type { Logger } from 'pino'
import { createDirectChannel } from '../channel/channel-client.ts'
import type { Config } from '../config/config.ts'
import { lockDataFolder } from '../db/data-folder-lock.ts'
import { createCatalogue } from '../endpoints/catalogue.ts'
import { createApp } from '../gateway/app.ts'
import { verifyKey } from '../gateway/authentication.ts'
import type { GatewayDependencies } from '../gateway/dependencies.ts'
import { createGatewayMetrics } from '../gateway/metrics.ts'
import { publicUrlsOf } from '../gateway/public-urls.ts'
import { filesRoutes } from '../gateway/routes/files.ts'
import { fileUploadRoutes } from '../gateway/routes/files-upload.ts'
import { jwksRoutes } from '../gateway/routes/jwks.ts'
import { storageRoutes } from '../gateway/routes/storage.ts'
import type { StorageDependencies } from '../gateway/routes/storage-dependencies.ts'
import { type Supervisor, superviseRunner } from '../runner/supervisor.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { loadSigningKey } from '../webhooks/signing-key.ts'
import { storedSetting } from '../webhooks/stored-setting.ts'
import { WebhookDeliverer } from '../webhooks/webhook-deliverer.ts'
import { WebhookOutbox } from '../webhooks/webhook-outbox.ts'
import { type BackingStores, openBackingStores } from './backing-stores.ts'
import { ENDPOINT_SCHEMAS } from './image-endpoints.ts'
import { runnerLogger } from './logger.ts'
import { startMaintenance } from './maintenance.ts'

export interface RunningServer {
  /** `http://127.0.0.1:3010` */
  readonly url: string
  /** Resolves when the runner works for the first time. */
  readonly ready: Promise<void>
  /** Stops taking requests, lets the runner finish what it holds, and closes. */
  stop(): Promise<void>
}

/**
 * One machine's whole server: the gateway in this process, one runner in a child process.
 * @throws when the port is taken, the data folder is another server's, or a store cannot be opened
 */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  await mkdir(config.dataFolder, { recursive: true })
  const lock = lockDataFolder(config.dataFolder)
  const stores = await openBackingStores(config)
  const outbound = new OutboundHttp({ allowPrivateTargets: config.allowPrivateTargets })
  const signingKey = await loadSigningKey(stores.database)
  const deliverer = new WebhookDeliverer({
    outbox: new WebhookOutbox(stores.database),
    http: outbound,
    key: signingKey,
    log,
  })
  const catalogue = createCatalogue(ENDPOINT_SCHEMAS)
  const channel = createDirectChannel({
    queue: stores.queue,
    endpointExists: (id) => catalogue.find(id).kind === 'found',
  })
  const gateway: GatewayDependencies = {
    config,
    queue: stores.queue,
    channel,
    catalogue,
    metrics: createGatewayMetrics(true),
    log,
  }
  const storage = await storageDependencies(gateway, stores)
  const app = createApp(gateway, {
    rest: [storageRoutes(storage), jwksRoutes([signingKey.publicJwk])],
    cdn: [fileUploadRoutes(storage), filesRoutes(storage)],
    site: [jwksRoutes([signingKey.publicJwk])],
  })
  const server = createAdaptorServer({ fetch: app.fetch, autoCleanupIncoming: false })
  const url = await listen(server, config)
  const supervisor = superviseLocalRunner(config, stores, log)
  const stopMaintenance = startMaintenance(stores, log)
  deliverer.start()
  return {
    url,
    ready: supervisor.ready,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      await supervisor.stop()
      if ('closeAllConnections' in server) server.closeAllConnections()
      await closed
      await deliverer.stop()
      await channel.close()
      stopMaintenance()
      await outbound.close()
      await stores.close()
      lock.release()
    },
  }
}

/** Secrets that sign upload URLs are made once and shared by every gateway of the database. */
async function storageDependencies(gateway: GatewayDependencies, stores: BackingStores): Promise<StorageDependencies> {
  const secret = await storedSetting(stores.database, 'upload-secret', () => randomBytes(32).toString('base64'))
  const { config } = gateway
  return {
    store: stores.objects,
    secret: Buffer.from(secret, 'base64'),
    limits: { maxFileBytes: config.limits.uploadBytes, maxPartBytes: 128 * 1024 * 1024, ticketSeconds: 3600 },
    filesUrl: (request) => publicUrlsOf(request, config.publicUrl).cdn,
    authenticate: async (request) =>
      (await verifyKey(gateway, request.headers.get('authorization') ?? undefined))?.keyId,
  }
}

function listen(server: ReturnType<typeof createAdaptorServer>, { host, port }: Config): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      const { port: bound } = server.address() as AddressInfo
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${bound}`)
    })
  })
}

function superviseLocalRunner(config: Config, stores: BackingStores, log: Logger): Supervisor {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return superviseRunner({
    entry: fileURLToPath(new URL('../runner-main.ts', import.meta.url)),
    execArgv: ['--import', tsx],
    args: [JSON.stringify(config)],
    logger: runnerLogger(log),
    onStart: (child) => stores.bridge(child),
    onExit: ({ runnerId }) => {
      if (runnerId !== undefined) stores.queue.withdraw(runnerId).catch((err) => log.warn({ err }, 'withdraw failed'))
    },
  })
}
