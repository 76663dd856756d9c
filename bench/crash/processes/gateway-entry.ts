/** Entry of a gateway alone, as `darkroom gateway`. */
import { createLogger } from '../../../packages/server/src/processes/logger.ts'
import { startLoneGateway } from '../../../packages/server/src/processes/lone-gateway.ts'
import { workSchema } from '../work-endpoint.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'

const config = await receiveSetup()
const gateway = await startLoneGateway(config, createLogger(config), [workSchema])
stopOnTerm(() => gateway.stop())
process.send?.({ ready: gateway.url })
