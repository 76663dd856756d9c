/** Entry of a gateway alone, as `darkroom gateway`. */
import { createProcessLog } from '../../../packages/server/src/log/process-log.ts'
import { startGatewayAlone } from '../../../packages/server/src/processes/server-process.ts'
import { workSchema } from '../work-endpoint.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'

const config = await receiveSetup()
const gateway = await startGatewayAlone(config, createProcessLog(config.logLevel), [workSchema])
stopOnTerm(() => gateway.stop())
process.send?.({ ready: gateway.url })
