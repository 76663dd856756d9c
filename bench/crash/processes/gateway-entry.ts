/** Entry of a gateway alone, as `darkroom gateway`. */
import { createLogger } from '../../../packages/server/src/processes/logger.ts'
import { startGatewayAlone } from '../../../packages/server/src/processes/server-process.ts'
import { workSchema } from '../work-endpoint.ts'
import { receiveSetup, stopOnTerm } from './setup.ts'

const config = await receiveSetup()
const gateway = await startGatewayAlone(config, createLogger(config), [workSchema])
stopOnTerm(() => gateway.stop())
process.send?.({ ready: gateway.url })
