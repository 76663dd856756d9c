/** Entry of runners alone, as `darkroom runner`. */

import { createProcessLog } from '../../../packages/server/src/log/process-log.ts'
import { startRunnersAlone } from '../../../packages/server/src/processes/runners/local-runners.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'
import { obeyStrikes } from './strikes.ts'

const config = await receiveSetup()
const entry = new URL('./runner-entry.ts', import.meta.url)
const runners = await startRunnersAlone(config, createProcessLog(config.logLevel), entry)
obeyStrikes(runners, config.journal)
stopOnTerm(() => runners.stop())
await runners.ready
process.send?.({ ready: '' })
