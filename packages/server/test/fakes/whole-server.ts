import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigOverrides, readConfig } from '../../src/config/config.ts'
import type { RunnableEndpoint } from '../../src/endpoints/endpoint.ts'
import { createSqlKeyStore } from '../../src/gateway/sql-key-store.ts'
import { fileAccess } from '../../src/processes/file-access.ts'
import { startGateway } from '../../src/processes/gateway-process.ts'
import { type BackingStores, openBackingStores } from '../../src/processes/stores.ts'
import { startRunner } from '../../src/runner/runner.ts'
import { OutboundHttp } from '../../src/security/outbound-http.ts'
import { drawingEndpoints } from './drawing-endpoints.ts'
import { FAKE_ENDPOINTS } from './fake-endpoints.ts'
import { SILENT_LOG } from './silent-log.ts'

export interface WholeServer {
  /** `https://127.0.0.1:41234` */
  readonly url: string
  readonly port: number
  /** `id:secret` of a key that opens it. */
  readonly key: string
  /** PEM of the authority to trust, and the file it is in; empty without TLS. */
  readonly authority: string
  readonly authorityFile: string
  readonly stores: BackingStores
  close(): Promise<void>
}

export interface WholeServerOptions extends Pick<ConfigOverrides, 'tls' | 'auth'> {
  readonly endpoints?: readonly RunnableEndpoint[]
}

/**
 * The server as `darkroom serve` puts it together: queue on libsql, files on disk, every route, with or without TLS. Only
 * the runner is in this process, and its endpoints paint or play instead of drawing.
 */
export async function startWholeServer(options: WholeServerOptions = {}): Promise<WholeServer> {
  const { endpoints = [...drawingEndpoints(), ...FAKE_ENDPOINTS], tls = false, auth = 'keys' } = options
  const dataFolder = await mkdtemp(join(tmpdir(), 'darkroom-whole-'))
  const config = readConfig({ port: 0, dataFolder, tls, auth, logLevel: 'silent' }, {})
  const log = SILENT_LOG
  const stores = await openBackingStores(config)
  const schemas = endpoints.map(({ schema }) => schema)
  const gateway = await startGateway(config, stores, log, schemas)
  const outbound = new OutboundHttp({ allowPrivateTargets: false })
  const runner = await startRunner({
    queue: stores.queue,
    endpoints,
    files: await fileAccess(stores, outbound),
    log: SILENT_LOG,
    arithmetic: { device: 'cpu', precision: 'exact' },
    memoryBytes: 0,
    capacity: 4,
    logFlushMs: 1,
    heartbeatMs: 20,
  })
  const { keyId, secret } = await createSqlKeyStore(stores.database).create('test', 'API', 'default')
  return {
    url: gateway.url,
    port: Number(new URL(gateway.url).port),
    key: `${keyId}:${secret}`,
    authority: gateway.authorityFile === undefined ? '' : await readFile(gateway.authorityFile, 'utf8'),
    authorityFile: gateway.authorityFile ?? '',
    stores,
    async close() {
      await runner.drain(0)
      await gateway.close()
      await outbound.close()
      await stores.close()
      await rm(dataFolder, { recursive: true, force: true })
    },
  }
}
