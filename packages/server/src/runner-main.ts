/** Entry of the runner processes that a server or `darkroom runner` forks. */

import { createProcessLog } from './log/process-log.ts'
import { createImageEndpoints } from './processes/image-endpoints.ts'
import { configFromParent, runRunner } from './processes/runners/runner-process.ts'

const config = await configFromParent()
const log = createProcessLog(config.logLevel, { process: 'runner' })
await runRunner(config, log, await createImageEndpoints(config, (line) => log.warn({}, line)))
