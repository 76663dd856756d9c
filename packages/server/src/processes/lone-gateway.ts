import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { lockDataFolder } from '../db/data-folder-lock.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { openBackingStores } from './backing-stores.ts'
import { ENDPOINT_SCHEMAS } from './endpoint-schemas.ts'
import { type RunningGateway, startGateway } from './gateway-process.ts'
import { requireLocalDisk } from './local-disk.ts'
import { OpenParts } from './open-parts.ts'

export interface LoneGateway extends Pick<RunningGateway, 'url' | 'authorityFile'> {
  /** Answers what is open, for the configured time at most, and closes. */
  stop(): Promise<void>
}

/**
 * A gateway without a runner; any number may share PostgreSQL and a bucket. On the embedded database it is the only one
 * of its data folder, and its runners are on the same machine.
 */
export async function startLoneGateway(
  config: Config,
  log: Logger,
  schemas: readonly EndpointSchema[] = ENDPOINT_SCHEMAS,
): Promise<LoneGateway> {
  const open = new OpenParts()
  try {
    if (config.databaseUrl === undefined) {
      const lock = lockDataFolder(config.dataFolder)
      open.add(() => lock.release())
      requireLocalDisk(config.dataFolder)
    }
    const stores = await openBackingStores(config)
    open.add(() => stores.close())
    const gateway = await startGateway(config, stores, log, schemas)
    open.add(() => gateway.close())
    return {
      url: gateway.url,
      ...(gateway.authorityFile !== undefined && { authorityFile: gateway.authorityFile }),
      async stop() {
        await gateway.drain(config.drainSeconds)
        await open.close()
      },
    }
  } catch (error) {
    await open.close()
    throw error
  }
}
