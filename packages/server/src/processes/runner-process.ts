import { totalmem } from 'node:os'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { type RunnerOptions, startRunner } from '../runner/runner.ts'
import { superviseSelf } from '../runner/supervision.ts'
import { MAX_IMAGE_BYTES, mayBeImage, readInputFile } from '../security/input-file.ts'
import { OutboundHttp } from '../security/outbound-http.ts'
import { saveGeneratedFile } from '../storage/generated-file.ts'
import { parseLifecycle } from '../storage/lifecycle.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { readOwnFile } from '../storage/own-file.ts'
import { openBackingStores } from './backing-stores.ts'
import { createImageEndpoints } from './image-endpoints.ts'
import { runnerLogger } from './logger.ts'

/** Seconds for fetching one input picture. */
const FETCH_SECONDS = 30

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

/** Reading and saving files on behalf of a request. */
function fileAccess(objects: ObjectStore, outbound: OutboundHttp): RunnerOptions['files'] {
  return ({ filesUrl, keyId, objectLifecycle }) => ({
    saveFile: (bytes, contentType, extension) =>
      saveGeneratedFile(objects, bytes, contentType, extension, {
        filesUrl,
        lifecycle: parseLifecycle(objectLifecycle),
        ...(keyId !== undefined && { owner: keyId }),
      }),
    readFile: (url, field) =>
      readInputFile(
        {
          outbound,
          readOwnFile: (ownUrl, maxBytes) =>
            readOwnFile(objects, ownUrl, maxBytes, { filesUrl, ...(keyId !== undefined && { keyId }) }),
        },
        url,
        { field, maxBytes: MAX_IMAGE_BYTES, timeoutSeconds: FETCH_SECONDS, accepts: mayBeImage },
      ),
  })
}
