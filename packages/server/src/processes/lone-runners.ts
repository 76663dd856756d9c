import type { Logger } from 'pino'
import { type Config, ConfigError } from '../config/config.ts'
import { dataFolderIsServed } from '../db/data-folder-lock.ts'
import { openBackingStores } from './backing-stores.ts'
import { requireLocalDisk } from './local-disk.ts'
import { type LocalRunners, RUNNER_ENTRY, superviseLocalRunners } from './local-runners.ts'

/**
 * Runners without a gateway, on PostgreSQL and a bucket or on the data folder of a gateway of this machine. This process
 * watches over them; what a dead one held is queued again at once.
 * @throws ConfigError where no gateway could ever meet them
 */
export async function startLoneRunners(config: Config, log: Logger, entry: URL = RUNNER_ENTRY): Promise<LocalRunners> {
  if (config.databaseUrl === undefined) requireGatewayHere(config.dataFolder)
  const stores = await openBackingStores(config)
  const runners = superviseLocalRunners(config, stores, log, entry)
  return {
    ...runners,
    async stop() {
      await runners.stop()
      await stores.close()
    },
  }
}

/** The embedded database is a file that processes of one machine share; a lone runner on it needs its gateway there. */
function requireGatewayHere(dataFolder: string): void {
  if (dataFolderIsServed(dataFolder)) {
    requireLocalDisk(dataFolder)
    return
  }
  throw new ConfigError(
    `No gateway of this machine serves the data folder ${dataFolder}, so nothing would ever reach this runner. ` +
      'Set DATABASE_URL and S3_BUCKET to those of gateways on other machines, or start `darkroom gateway` with this ' +
      'data folder first.',
  )
}
