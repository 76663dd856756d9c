/** Entry of a whole server, as `darkroom serve`. */
import { createProcessLog } from '../../../packages/server/src/log/process-log.ts'
import { startServer } from '../../../packages/server/src/processes/server-process.ts'
import { workSchema } from '../work-endpoint.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'
import { obeyStrikes } from './strikes.ts'

const config = await receiveSetup()
const runnerEntry = new URL('./runner-entry.ts', import.meta.url)
const server = await startServer(config, createProcessLog(config.logLevel), { schemas: [workSchema], runnerEntry })
obeyStrikes(server.runners, config.journal)
stopOnTerm(() => server.stop())
// A server counts as back when its runners are: it is not struck again before.
await server.runners.ready
process.send?.({ ready: server.url })
