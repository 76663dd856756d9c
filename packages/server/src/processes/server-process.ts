import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { lockDataFolder } from '../db/data-folder-lock.ts'
import { type Supervisor, superviseRunner } from '../runner/supervisor.ts'
import { type BackingStores, openBackingStores } from './backing-stores.ts'
import { startGateway } from './gateway-process.ts'
import { runnerLogger } from './logger.ts'

export interface RunningServer {
  /** `http://127.0.0.1:3010` */
  readonly url: string
  /** File with the certificate of the authority that clients must trust; absent without TLS. */
  readonly authorityFile?: string
  /** Stops taking requests, lets the runner finish or hand back what it holds, and closes. */
  stop(): Promise<void>
}

/** Seconds for answering what is open once the runner has stopped: its last results are on their way. */
const DRAIN_SECONDS = 5

/**
 * One machine's whole server: the gateway in this process, one runner in a child process.
 * @throws when the port is taken, the data folder is another server's, or a store cannot be opened
 */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  await mkdir(config.dataFolder, { recursive: true })
  const lock = lockDataFolder(config.dataFolder)
  const stores = await openBackingStores(config)
  const gateway = await startGateway(config, stores, log)
  const supervisor = superviseLocalRunner(config, stores, log)
  return {
    url: gateway.url,
    ...(gateway.authorityFile !== undefined && { authorityFile: gateway.authorityFile }),
    async stop() {
      await supervisor.stop()
      await gateway.drain(DRAIN_SECONDS)
      await gateway.close()
      await stores.close()
      lock.release()
    },
  }
}

function superviseLocalRunner(config: Config, stores: BackingStores, log: Logger): Supervisor {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return superviseRunner({
    entry: fileURLToPath(new URL('../runner-main.ts', import.meta.url)),
    args: [JSON.stringify(config)],
    execArgv: ['--import', tsx],
    logger: runnerLogger(log),
    onStart: (child) => stores.bridge(child),
    onExit: ({ runnerId }) => {
      if (runnerId !== undefined) stores.queue.withdraw(runnerId).catch((err) => log.warn({ err }, 'withdraw failed'))
    },
  })
}
