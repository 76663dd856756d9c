import { totalmem } from 'node:os'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { startRunner } from '../runner/runner.ts'
import { superviseSelf } from '../runner/supervision.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { openBackingStores } from './backing-stores.ts'
import { fileAccess } from './file-access.ts'
import { createImageEndpoints } from './image-endpoints.ts'
import { runnerLogger } from './logger.ts'

/** A process that works on requests until it is told to stop, or its parent is gone. */
export async function runRunner(config: Config, log: Logger): Promise<void> {
  const stores = await openBackingStores(config)
  if (process.send !== undefined) stores.bridge(process)
  const outbound = new OutboundHttp({ allowPrivateTargets: config.allowPrivateTargets })
  const images = createImageEndpoints(config)
  const runner = await startRunner({
    queue: stores.queue,
    endpoints: images.endpoints,
    files: fileAccess(stores.objects, outbound),
    logger: runnerLogger(log),
    device: 'cpu',
    memoryBytes: totalmem(),
    warm: images.warm,
  })
  log.info({ runnerId: runner.runnerId, address: runner.address }, 'runner ready')
  superviseSelf(runner, {
    async onDrained() {
      await outbound.close()
      await images.dispose()
      await stores.close()
    },
  })
}
