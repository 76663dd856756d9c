/** Entry of the runner processes that a server or `darkroom runner` forks. */
import { createImageEndpoints } from './processes/image-endpoints.ts'
import { createLogger } from './processes/logger.ts'
import { configFromParent, runRunner } from './processes/runner-process.ts'

const config = await configFromParent()
const log = createLogger(config).child({ process: 'runner' })
await runRunner(config, log, await createImageEndpoints(config, (line) => log.warn(line)))
