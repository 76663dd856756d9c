import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { type Supervisor, superviseRunner } from '../runner/supervisor.ts'
import type { BackingStores } from './backing-stores.ts'
import { runnerLogger } from './logger.ts'

export interface LocalRunners {
  readonly supervisors: readonly Supervisor[]
  /** Resolves when every runner has been up once. */
  readonly ready: Promise<void>
  /** Lets the runners finish or hand back what they hold, and ends them. */
  stop(): Promise<void>
}

/** The module that a runner's process runs: it calls `runRunner`. */
export const RUNNER_ENTRY: URL = new URL('../runner-main.ts', import.meta.url)

/** Share of the machine's memory that its runners may hold when nothing else is configured. */
const MEMORY_SHARE = 0.9
/** A drain hands back what it could not finish, which takes a moment of its own. */
const HAND_BACK_SECONDS = 5

/** Keeps the configured number of runner processes running on this machine. */
export function superviseLocalRunners(
  config: Config,
  stores: BackingStores,
  log: Logger,
  entry: URL = RUNNER_ENTRY,
): LocalRunners {
  const supervisors = Array.from({ length: config.runners.count }, (_, index) =>
    superviseOne(runnerConfig(config, index), stores, log, entry),
  )
  return {
    supervisors,
    ready: Promise.all(supervisors.map(({ ready }) => ready)).then(() => {}),
    async stop() {
      await Promise.all(supervisors.map((supervisor) => supervisor.stop()))
    },
  }
}

function superviseOne(config: Config, stores: BackingStores, log: Logger, entry: URL): Supervisor {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return superviseRunner({
    entry: fileURLToPath(entry),
    execArgv: ['--import', tsx],
    logger: runnerLogger(log),
    memoryLimitBytes: memoryLimit(config),
    stopSeconds: config.drainSeconds + HAND_BACK_SECONDS,
    onStart(child) {
      // Not an argument, which every user of the machine can read: it holds the passwords of the stores.
      child.send({ config }, () => {})
      stores.bridge(child)
    },
    onExit({ runnerId }) {
      if (runnerId === undefined) return
      stores.queue.withdraw(runnerId).catch((err) => log.warn({ err, runnerId }, 'its leases have to run out'))
    },
  })
}

/** What one of the machine's runners is told: its own port, and its share of the cores. */
export function runnerConfig(config: Config, index: number): Config {
  const { runners, threads } = config
  return {
    ...config,
    threads: threads ?? Math.max(1, Math.floor(availableParallelism() / runners.count)),
    runners: { ...runners, port: runners.port === 0 ? 0 : runners.port + index },
  }
}

function memoryLimit({ runners }: Config): number {
  // A container's limit, where there is one; Node reports an absurdly large number where there is none.
  const machine = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  return runners.memoryBytes ?? (machine * MEMORY_SHARE) / runners.count
}
