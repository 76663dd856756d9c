/** Entry of a runner's process: the product's own runner, with an endpoint that needs no model. */
import { createProcessLog } from '../../../packages/server/src/log/process-log.ts'
import { configFromParent, runRunner } from '../../../packages/server/src/processes/runners/runner-process.ts'
import { Journal } from '../journal.ts'
import { workEndpoint } from '../work-endpoint.ts'
import type { BenchConfig } from './setup.ts'

const config = (await configFromParent()) as BenchConfig
const journal = new Journal(config.journal)
const served = {
  endpoints: [workEndpoint(journal)],
  warm: () => [],
  arithmetic: { device: 'cpu', precision: 'exact' },
  dispose: async () => {},
}
await runRunner(config, createProcessLog(config.logLevel, { process: 'runner' }), served)
journal.write({ event: 'up' })
