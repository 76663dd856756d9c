import { createDirectChannel } from '../channel/channel-client.ts'
import { endsWithin } from '../channel/deadline.ts'
import type { Config } from '../config/config.ts'
import { createCatalogue } from '../endpoints/catalogue.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { createApp } from '../gateway/app.ts'
import { verifyKey } from '../gateway/authentication.ts'
import { createGatewayBounds } from '../gateway/bounds.ts'
import type { GatewayDependencies } from '../gateway/dependencies.ts'
import { requireRoom } from '../gateway/disk-use.ts'
import { httpOverWebSocket } from '../gateway/http-over-websocket.ts'
import { createGatewayMetrics } from '../gateway/metrics.ts'
import { publicUrlsOf } from '../gateway/public-urls.ts'
import { realtimeService } from '../gateway/realtime.ts'
import { createRealtimeTokens } from '../gateway/realtime-tokens.ts'
import { createSqlKeyStore } from '../gateway/sql-key-store.ts'
import { attachWebSockets } from '../gateway/web-sockets.ts'
import type { ProcessLog } from '../log/process-log.ts'
import { DEFAULT_ACCOUNT } from '../queue/request-queue.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { createWebServer } from '../web/web-server.ts'
import { loadSigningKey } from '../webhooks/signature.ts'
import { WebhookDeliverer } from '../webhooks/webhook-deliverer.ts'
import { WebhookOutbox } from '../webhooks/webhook-outbox.ts'
import { createModelStore } from './configured-model-store.ts'
import { DiskUpkeep } from './disk-upkeep.ts'
import { ENDPOINT_SCHEMAS } from './endpoints.ts'
import { startMaintenance } from './maintenance.ts'
import { loadPlayground } from './playground/playground-files.ts'
import { lifecycleDefaults, sharedSecret } from './stored-settings.ts'
import type { BackingStores } from './stores.ts'

export interface RunningGateway {
  /** `http://127.0.0.1:3010` */
  readonly url: string
  /** File with the certificate of the authority that clients must trust; absent without TLS. */
  readonly authorityFile?: string
  /** Starts what the first long input would wait for; for a moment in which nothing else is started. */
  warmUp(): void
  /** Is not ready from here on, so that load balancers send nothing new; answers, but waits for no runner. */
  leave(): void
  /** Takes no new connections; resolves when what is open has been answered, or after `seconds`. */
  drain(seconds: number): Promise<void>
  close(): Promise<void>
}

const MAX_PART_BYTES = 64 * 1024 * 1024
const TICKET_SECONDS = 3600
const HANG_UP_MILLISECONDS = 50

/**
 * The process that speaks HTTP: the API, realtime sockets, webhook deliveries and the upkeep of the stores. Any number may
 * run on the same stores.
 * @throws when the port is taken
 */
export async function startGateway(
  config: Config,
  stores: BackingStores,
  log: ProcessLog,
  schemas: readonly EndpointSchema[] = ENDPOINT_SCHEMAS,
): Promise<RunningGateway> {
  const { database, queue } = stores
  let closed: Promise<void> | undefined
  const catalogue = createCatalogue(schemas)
  const channel = createDirectChannel({ queue, endpointExists: (id) => catalogue.find(id).kind === 'found' })
  let leaving = false
  const leave = () => {
    leaving = true
    channel.stopWaiting()
  }
  const signingKey = await loadSigningKey(database)
  const weights = createModelStore(config)
  const disk = new DiskUpkeep(config, stores)
  await disk.lookAtDisk()
  const gateway = await gatewayDependencies(config, stores, {
    channel,
    catalogue,
    log,
    webhookKeys: [signingKey.publicJwk],
    weights,
    isLeaving: () => leaving,
    disk: () => disk.figures,
  })
  const app = createApp(gateway)
  const web = await createWebServer(config, app.fetch, log)
  const sockets = attachWebSockets(
    web.server,
    [httpOverWebSocket(app.fetch, gateway), realtimeService(gateway)],
    gateway,
  )
  const url = await web.listen()
  const outbound = new OutboundHttp({ allowPrivateTargets: config.allowPrivateTargets })
  const deliverer = new WebhookDeliverer({
    outbox: new WebhookOutbox(database),
    http: outbound,
    key: signingKey,
    log,
  })
  deliverer.start()
  const stopWaking = queue.onWebhook(() => deliverer.wake())
  const stopMaintenance = startMaintenance(config, stores, disk, log)
  return {
    url,
    ...(web.authorityFile !== undefined && { authorityFile: web.authorityFile }),
    // What fails here fails again, and is told, when the first long input comes.
    warmUp: () => void gateway.bounds.inputs.warmUp().catch(() => {}),
    leave,
    async drain(seconds) {
      leave()
      closed ??= new Promise((resolve) => web.close(resolve))
      // Connections that clients keep alive are idle as soon as their answer is out, and would be waited for.
      const hangUp = setInterval(() => web.server.closeIdleConnections(), HANG_UP_MILLISECONDS)
      await Promise.all([sockets.close(seconds), endsWithin(closed, seconds)])
      clearInterval(hangUp)
    },
    async close() {
      web.close()
      web.server.closeAllConnections()
      await sockets.close(0)
      stopWaking()
      await deliverer.stop()
      await channel.close()
      stopMaintenance()
      await gateway.bounds.inputs.close()
      await outbound.close()
      await weights.close()
    },
  }
}

interface GatewayParts
  extends Pick<GatewayDependencies, 'channel' | 'catalogue' | 'log' | 'webhookKeys' | 'weights' | 'disk'> {
  isLeaving(): boolean
}

async function gatewayDependencies(
  config: Config,
  { database, queue, objects }: BackingStores,
  { isLeaving, ...parts }: GatewayParts,
): Promise<GatewayDependencies> {
  const keys = config.auth === 'keys' ? createSqlKeyStore(database) : undefined
  const defaults = lifecycleDefaults(database)
  return {
    ...parts,
    config,
    queue,
    tokens: createRealtimeTokens(await sharedSecret(database, 'token-secret')),
    lifecycleDefaults: defaults,
    storage: {
      store: objects,
      secret: await sharedSecret(database, 'upload-secret'),
      lifecycleDefaults: defaults,
      limits: { maxFileBytes: config.limits.uploadBytes, maxPartBytes: MAX_PART_BYTES, ticketSeconds: TICKET_SECONDS },
      requireRoom: () => requireRoom(parts.disk?.()),
      filesUrl: (request) => publicUrlsOf(request, config.publicUrl).cdn,
      authenticate: async (request) =>
        (await verifyKey(keys === undefined ? {} : { keys }, request.headers.get('authorization') ?? undefined)) ?? {
          account: DEFAULT_ACCOUNT,
        },
    },
    playground: loadPlayground,
    bounds: createGatewayBounds(config.limits),
    metrics: createGatewayMetrics(true),
    readiness: {
      database: async () =>
        void (await database.read((query) => query.selectFrom('settings').select('key').limit(1).execute())),
      // Load balancers send nothing new to one that is going.
      serving: async () => {
        if (isLeaving()) throw new Error('stopping')
      },
    },
    ...(keys !== undefined && { keys }),
  }
}
