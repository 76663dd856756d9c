import type { Config } from '../config/config.ts'
import { lockDataFolder } from '../db/data-folder-lock.ts'
import type { ArithmeticName, EndpointSchema } from '../endpoints/endpoint.ts'
import type { ProcessLog } from '../log/process-log.ts'
import { WebhookOutbox } from '../webhooks/webhook-outbox.ts'
import { configuredRecipes } from './configured-recipes.ts'
import { ENDPOINT_SCHEMAS } from './endpoints.ts'
import { type RunningGateway, startGateway } from './gateway-process.ts'
import { requireLocalDisk } from './local-disk.ts'
import { type LocalRunners, RUNNER_ENTRY, superviseLocalRunners } from './runners/local-runners.ts'
import { type BackingStores, openBackingStores } from './stores.ts'

/** What a server serves: the endpoints as its gateway knows them, and the module whose processes answer them. */
export interface Served {
  readonly schemas: readonly EndpointSchema[]
  readonly runnerEntry: URL
}

const IMAGE_ENDPOINTS: Served = { schemas: ENDPOINT_SCHEMAS, runnerEntry: RUNNER_ENTRY }

export interface RunningServer extends Pick<RunningGateway, 'url' | 'authorityFile'> {
  readonly runners: LocalRunners
  /** What its runners draw with, those that are up. */
  arithmetics(): Promise<readonly ArithmeticName[]>
  /** Lets the runners finish or hand back what they hold, answers what is open, and closes. */
  stop(): Promise<void>
}

/** Seconds for answering what is open once the runners have stopped: their last results are on their way. */
const LAST_ANSWERS_SECONDS = 5

/**
 * One machine's whole server: the gateway in this process, its runners in child processes.
 * @throws when the port is taken, the data folder is another server's, or a store cannot be opened
 */
export async function startServer(config: Config, log: ProcessLog, served = IMAGE_ENDPOINTS): Promise<RunningServer> {
  await configuredRecipes(config)
  const open = new OpenedParts()
  try {
    const stores = await openGatewayStores(config, open)
    // First, so that they come up while the gateway does.
    const runners = superviseLocalRunners(config, stores, log, served.runnerEntry)
    open.add(() => runners.stop())
    const gateway = await startGateway(config, stores, log, served.schemas)
    open.add(() => gateway.close())
    void runners.ready.then(gateway.warmUp, () => {})
    return {
      url: gateway.url,
      ...(gateway.authorityFile !== undefined && { authorityFile: gateway.authorityFile }),
      runners,
      async arithmetics() {
        return (await stores.queue.runners()).map(({ device, precision = 'exact' }) => ({ device, precision }))
      },
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

export interface GatewayAlone extends Pick<RunningGateway, 'url' | 'authorityFile'> {
  /** Answers what is open, for the configured time at most, and closes. */
  stop(): Promise<void>
}

/**
 * A gateway without a runner; any number may share PostgreSQL and a bucket. On the embedded database it is the only one
 * of its data folder, and its runners are on the same machine.
 */
export async function startGatewayAlone(
  config: Config,
  log: ProcessLog,
  schemas: readonly EndpointSchema[] = ENDPOINT_SCHEMAS,
): Promise<GatewayAlone> {
  const open = new OpenedParts()
  try {
    const stores = await openGatewayStores(config, open)
    // The folder is there by now.
    if (config.databaseUrl === undefined) requireLocalDisk(config.dataFolder)
    const gateway = await startGateway(config, stores, log, schemas)
    open.add(() => gateway.close())
    gateway.warmUp()
    return {
      url: gateway.url,
      ...(gateway.authorityFile !== undefined && { authorityFile: gateway.authorityFile }),
      async stop() {
        await gateway.drain(config.drainSeconds)
        await open.close()
      },
    }
  } catch (error) {
    await open.close()
    throw error
  }
}

/**
 * The stores of a process that has a gateway. On the embedded database it is the only such process of the data folder.
 * @throws DatabaseError when another server has it
 */
async function openGatewayStores(config: Config, open: OpenedParts): Promise<BackingStores> {
  if (config.databaseUrl !== undefined) return openedStores(config, open)
  const lock = lockDataFolder(config.dataFolder)
  open.add(() => lock.release())
  const stores = await openedStores(config, open)
  await new WebhookOutbox(stores.database).takeOver()
  return stores
}

async function openedStores(config: Config, open: OpenedParts): Promise<BackingStores> {
  const stores = await openBackingStores(config)
  open.add(() => stores.close())
  return stores
}

/** What a process has opened so far, closed in the opposite order: also when the next part could not be opened. */
class OpenedParts {
  readonly #closing: (() => Promise<void> | void)[] = []

  add(close: () => Promise<void> | void): void {
    this.#closing.push(close)
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close()
  }
}
