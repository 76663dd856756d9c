import type { Config } from '../config/config.ts'
import type { ProcessLog } from '../log/process-log.ts'
import type { DiskUpkeep } from './disk-upkeep.ts'
import { withdrawDeadRunners } from './runners/runner-locks.ts'
import type { BackingStores } from './stores.ts'

const REAP_SECONDS = 1
const SWEEP_SECONDS = 60
const LOOK_SECONDS = 5
/** A walk over all files. */
const FILES_SECONDS = 600

/**
 * The work that keeps a server healthy: returning the requests of lost runners, and erasing what is past its time. Several
 * gateways may do it on one database.
 * @returns stops it
 */
export function startMaintenance(
  config: Config,
  { queue, objects }: BackingStores,
  disk: DiskUpkeep,
  log: ProcessLog,
): () => void {
  const timers = [
    ...(config.databaseUrl === undefined
      ? [every(REAP_SECONDS, () => withdrawDeadRunners(config.dataFolder, queue), 'looking after dead runners', log)]
      : []),
    every(REAP_SECONDS, () => queue.reap(), 'returning lost requests', log),
    every(SWEEP_SECONDS, () => queue.sweep(), 'erasing old requests', log),
    every(SWEEP_SECONDS, () => objects.sweep(new Date()), 'erasing expired files', log),
    every(LOOK_SECONDS, () => disk.lookAtDisk(), 'looking at the disk', log),
    every(SWEEP_SECONDS, () => disk.trimPayloads(), 'erasing what is over the budget of payloads', log, 'now'),
    every(FILES_SECONDS, () => disk.trimFiles(), 'removing what is over the budget of files', log, 'now'),
  ]
  return () => timers.forEach(clearInterval)
}

/** Runs `work` every so often, one at a time, from now or the first interval's end on; a failure is logged once until it works again. */
function every(
  seconds: number,
  work: () => Promise<void>,
  what: string,
  log: ProcessLog,
  from: 'now' | 'later' = 'later',
): NodeJS.Timeout {
  let running = false
  let failing = false
  const run = async () => {
    if (running) return
    running = true
    try {
      await work()
      failing = false
    } catch (err) {
      if (!failing) log.error({ err }, `${what} failed; trying again`)
      failing = true
    } finally {
      running = false
    }
  }
  if (from === 'now') void run()
  return setInterval(run, seconds * 1000)
}
