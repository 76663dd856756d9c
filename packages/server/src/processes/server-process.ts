import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { EndpointSchema } from '../endpoints/endpoint.ts'
import { ENDPOINT_SCHEMAS } from './endpoints.ts'
import { type RunningGateway, startGateway } from './gateway-process.ts'
import { openGatewayStores } from './gateway-stores.ts'
import { type LocalRunners, RUNNER_ENTRY, superviseLocalRunners } from './local-runners.ts'
import { OpenParts } from './open-parts.ts'

/** What a server serves: the endpoints as its gateway knows them, and the module whose processes answer them. */
export interface Served {
  readonly schemas: readonly EndpointSchema[]
  readonly runnerEntry: URL
}

const IMAGE_ENDPOINTS: Served = { schemas: ENDPOINT_SCHEMAS, runnerEntry: RUNNER_ENTRY }

export interface RunningServer extends Pick<RunningGateway, 'url' | 'authorityFile'> {
  readonly runners: LocalRunners
  /** Lets the runners finish or hand back what they hold, answers what is open, and closes. */
  stop(): Promise<void>
}

/** Seconds for answering what is open once the runners have stopped: their last results are on their way. */
const LAST_ANSWERS_SECONDS = 5

/**
 * One machine's whole server: the gateway in this process, its runners in child processes.
 * @throws when the port is taken, the data folder is another server's, or a store cannot be opened
 */
export async function startServer(config: Config, log: Logger, served = IMAGE_ENDPOINTS): Promise<RunningServer> {
  const open = new OpenParts()
  try {
    const stores = await openGatewayStores(config, open)
    // First, so that they come up while the gateway does.
    const runners = superviseLocalRunners(config, stores, log, served.runnerEntry)
    open.add(() => runners.stop())
    const gateway = await startGateway(config, stores, log, served.schemas)
    open.add(() => gateway.close())
    return {
      url: gateway.url,
      ...(gateway.authorityFile !== undefined && { authorityFile: gateway.authorityFile }),
      runners,
      async stop() {
        gateway.leave()
        await runners.stop()
        await gateway.drain(LAST_ANSWERS_SECONDS)
        await open.close()
      },
    }
  } catch (error) {
    await open.close()
    throw error
  }
}
