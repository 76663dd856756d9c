import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { ENDPOINT_SCHEMAS } from './endpoints.ts'
import { type RunningGateway, startGateway } from './gateway-process.ts'
import { openGatewayStores } from './gateway-stores.ts'
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
    const stores = await openGatewayStores(config, open)
    // The folder is there by now.
    if (config.databaseUrl === undefined) requireLocalDisk(config.dataFolder)
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
