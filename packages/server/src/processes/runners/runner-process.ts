import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config/config.ts'
import { DatabaseError } from '../../db/database-error.ts'
import type { ProcessLog } from '../../log/process-log.ts'
import { startRunner } from '../../runner/runner.ts'
import { superviseSelf } from '../../runner/supervised.ts'
import { OutboundHttp } from '../../security/outbound-http.ts'
import { fileAccess } from '../file-access.ts'
import type { ServedEndpoints } from '../image-endpoints.ts'
import { type BackingStores, openBackingStores } from '../stores.ts'
import { advertisedHost } from './runner-address.ts'
import { lockForRunner } from './runner-locks.ts'
import { machineMemory } from './runner-memory.ts'

/** Shorter than what a supervisor waits for the first report. */
const STORES_SECONDS = 45
const STORES_RETRY_MILLISECONDS = 500

/** The configuration that the supervising process sends a runner first of all. */
export function configFromParent(): Promise<Config> {
  if (process.send === undefined)
    throw new Error('This module is run by a supervisor; start runners with `darkroom runner`.')
  return new Promise((resolve) => {
    const receive = (message: unknown) => {
      if (typeof message !== 'object' || message === null || !('config' in message)) return
      process.off('message', receive)
      resolve(message.config as Config)
    }
    process.on('message', receive)
  })
}

/** A runner that was started again while the database is down comes up with it, and not after its supervisor's back-off. */
async function openStoresInTime(config: Config, log: ProcessLog): Promise<BackingStores> {
  const giveUpAt = performance.now() + STORES_SECONDS * 1000
  for (let told = false; ; told = true) {
    try {
      return await openBackingStores(config)
    } catch (error) {
      if (!(error instanceof DatabaseError && error.retryable) || performance.now() > giveUpAt) throw error
      if (!told) log.warn({ err: error }, 'waiting for the database')
      await sleep(STORES_RETRY_MILLISECONDS)
    }
  }
}

/** A process that works on requests until it is told to stop, or its parent is gone. */
export async function runRunner(config: Config, log: ProcessLog, served: ServedEndpoints): Promise<void> {
  const stores = await openStoresInTime(config, log)
  if (process.send !== undefined) stores.bridge(process)
  const outbound = new OutboundHttp({ allowPrivateTargets: config.allowPrivateTargets })
  const { host, port } = config.runners
  const runnerId = randomUUID()
  const life = config.databaseUrl === undefined ? lockForRunner(config.dataFolder, runnerId) : undefined
  const runner = await startRunner({
    runnerId,
    queue: stores.queue,
    endpoints: served.endpoints,
    files: await fileAccess(stores, outbound),
    log,
    arithmetic: served.arithmetic,
    memoryBytes: machineMemory(),
    warm: served.warm,
    recordsRequests: config.recordsRequests,
    listen: { host, port, advertisedHost: advertisedHost(config.runners) },
  })
  log.info({ runnerId: runner.runnerId, address: runner.address, ...served.arithmetic }, 'runner ready')
  superviseSelf(runner, {
    drainSeconds: config.drainSeconds,
    async onDrained() {
      await outbound.close()
      await served.dispose()
      await stores.close()
      life?.release()
    },
  })
}
