import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Config, ConfigError } from '../../config/config.ts'
import { dataFolderIsServed } from '../../db/data-folder-lock.ts'
import type { ProcessLog } from '../../log/process-log.ts'
import type { RequestQueue } from '../../queue/request-queue.ts'
import { type Supervisor, superviseRunner } from '../../runner/supervisor.ts'
import { configuredRecipes } from '../configured-recipes.ts'
import { entryModule, nodeOptionsOf } from '../installation.ts'
import { requireLocalDisk } from '../local-disk.ts'
import { type BackingStores, openBackingStores } from '../stores.ts'
import { runnerMemory } from './runner-memory.ts'

export interface LocalRunners {
  readonly supervisors: readonly Supervisor[]
  /** Resolves when every runner has been up once. */
  readonly ready: Promise<void>
  /** Lets the runners finish or hand back what they hold, and ends them. */
  stop(): Promise<void>
}

/** The module that a runner's process runs: it calls `runRunner`. */
export const RUNNER_ENTRY: URL = entryModule('runner-main')

/** A drain hands back what it could not finish, which takes a moment of its own. */
const HAND_BACK_SECONDS = 5
const WITHDRAW_RETRY_MILLISECONDS = 250

/** Keeps the configured number of runner processes running on this machine. */
export function superviseLocalRunners(
  config: Config,
  stores: BackingStores,
  log: ProcessLog,
  entry: URL = RUNNER_ENTRY,
): LocalRunners {
  const withdrawals = new Set<Promise<void>>()
  const onDeath = (runnerId: string) => {
    const withdrawal = withdraw(runnerId, stores.queue, log).finally(() => withdrawals.delete(withdrawal))
    withdrawals.add(withdrawal)
  }
  const supervisors = Array.from({ length: config.runners.count }, (_, index) =>
    superviseOne(runnerConfig(config, index), { stores, log, entry, onDeath }),
  )
  return {
    supervisors,
    ready: Promise.all(supervisors.map(({ ready }) => ready)).then(() => {}),
    async stop() {
      await Promise.all(supervisors.map((supervisor) => supervisor.stop()))
      await Promise.all(withdrawals)
    },
  }
}

interface LocalRunnerOptions {
  readonly stores: BackingStores
  readonly log: ProcessLog
  readonly entry: URL
  readonly onDeath: (runnerId: string) => void
}

function superviseOne(config: Config, { stores, log, entry, onDeath }: LocalRunnerOptions): Supervisor {
  return superviseRunner({
    entry: fileURLToPath(entry),
    execArgv: nodeOptionsOf(entry),
    log,
    memoryLimitBytes: runnerMemory(config.runners),
    stopSeconds: config.drainSeconds + HAND_BACK_SECONDS,
    onStart(child) {
      // Not an argument, which every user of the machine can read: it holds the passwords of the stores.
      child.send({ config }, () => {})
      // A process that is gone is told nothing any more, and not kept in memory.
      child.once('exit', stores.bridge(child))
    },
    onExit({ runnerId, code }) {
      // One that ended in order has withdrawn by itself.
      if (runnerId !== undefined && code !== 0) onDeath(runnerId)
    },
  })
}

/** Returns what a dead runner held to the queue; where the database is away for longer, its leases run out. */
async function withdraw(runnerId: string, queue: RequestQueue, log: ProcessLog): Promise<void> {
  const giveUpAt = performance.now() + queue.leaseSeconds * 1000
  for (;;) {
    try {
      await queue.withdraw(runnerId)
      return
    } catch (err) {
      if (performance.now() > giveUpAt) {
        log.warn({ err, runnerId }, 'a dead runner could not be withdrawn, its leases have to run out')
        return
      }
      await sleep(WITHDRAW_RETRY_MILLISECONDS, undefined, { ref: false })
    }
  }
}

/** What one of the machine's runners is told: its own number and port, and its share of the cores. */
export function runnerConfig(config: Config, index: number): Config {
  const { runners, threads } = config
  return {
    ...config,
    threads: threads ?? Math.max(1, Math.floor(availableParallelism() / runners.count)),
    runners: { ...runners, number: index, port: runners.port === 0 ? 0 : runners.port + index },
  }
}

/**
 * Runners without a gateway, on PostgreSQL and a bucket or on the data folder of a gateway of this machine. This process
 * watches over them; what a dead one held is queued again at once.
 * @throws ConfigError where no gateway could ever meet them
 */
export async function startRunnersAlone(
  config: Config,
  log: ProcessLog,
  entry: URL = RUNNER_ENTRY,
): Promise<LocalRunners> {
  await configuredRecipes(config)
  if (config.databaseUrl === undefined) requireGatewayHere(config.dataFolder)
  const stores = await openBackingStores(config)
  const runners = superviseLocalRunners(config, stores, log, entry)
  return {
    ...runners,
    async stop() {
      await runners.stop()
      await stores.close()
    },
  }
}

/** The embedded database is a file that processes of one machine share; a lone runner on it needs its gateway there. */
function requireGatewayHere(dataFolder: string): void {
  if (dataFolderIsServed(dataFolder)) {
    requireLocalDisk(dataFolder)
    return
  }
  throw new ConfigError(
    `No gateway of this machine serves the data folder ${dataFolder}, so nothing would ever reach this runner. ` +
      'Set DATABASE_URL and S3_BUCKET to those of gateways on other machines, or start `darkroom gateway` with this ' +
      'data folder first.',
  )
}
