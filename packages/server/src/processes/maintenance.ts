import type { Config } from '../config/config.ts'
import type { ProcessLog } from '../log/process-log.ts'
import type { DiskUpkeep } from './disk-upkeep.ts'
import { withdrawDeadRunners } from './runners/runner-locks.ts'
import type { BackingStores } from './stores.ts'

const REAP_SECONDS = 1
const SWEEP_SECONDS = 60
const LOOK_SECONDS = 5
/** A hundredth of the time goes into walks over all files, which a small folder is through with in milliseconds. */
const FILES_PACE: Pace = { shortestSeconds: 10, longestSeconds: 600, restShare: 99 }
/** Each thousand files of a bucket is a call that costs money. */
const BUCKET_PACE: Pace = { ...FILES_PACE, shortestSeconds: 60 }

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
  const stops = [
    ...(config.databaseUrl === undefined
      ? [every(REAP_SECONDS, () => withdrawDeadRunners(config.dataFolder, queue), 'looking after dead runners', log)]
      : []),
    every(REAP_SECONDS, () => queue.reap(), 'returning lost requests', log),
    every(SWEEP_SECONDS, () => queue.sweep(), 'erasing old requests', log),
    every(SWEEP_SECONDS, () => objects.sweep(new Date()), 'erasing expired files', log),
    every(LOOK_SECONDS, () => disk.lookAtDisk(), 'looking at the disk', log),
    every(SWEEP_SECONDS, () => disk.trimPayloads(), 'erasing what is over the budget of payloads', log, 'now'),
    paced(
      config.s3 === undefined ? FILES_PACE : BUCKET_PACE,
      () => disk.trimFiles(),
      'removing what is over the budget of files',
      log,
    ),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** Runs `work` every so often, one at a time, from now or the first interval's end on. @returns stops it */
function every(
  seconds: number,
  work: () => Promise<void>,
  what: string,
  log: ProcessLog,
  from: 'now' | 'later' = 'later',
): () => void {
  const attempt = attempting(work, what, log)
  let running = false
  const run = async () => {
    if (running) return
    running = true
    await attempt()
    running = false
  }
  if (from === 'now') void run()
  const timer = setInterval(run, seconds * 1000)
  return () => clearInterval(timer)
}

interface Pace {
  readonly shortestSeconds: number
  readonly longestSeconds: number
  /** How many times as long as it took it rests. */
  readonly restShare: number
}

/** Runs `work` from now on, with a rest in between that is as long as the work was. @returns stops it */
function paced(
  { shortestSeconds, longestSeconds, restShare }: Pace,
  work: () => Promise<void>,
  what: string,
  log: ProcessLog,
): () => void {
  const attempt = attempting(work, what, log)
  let isStopped = false
  let timer: NodeJS.Timeout | undefined
  const run = async () => {
    const startedAt = performance.now()
    await attempt()
    const tookSeconds = (performance.now() - startedAt) / 1000
    const rest = Math.min(Math.max(tookSeconds * restShare, shortestSeconds), longestSeconds)
    if (!isStopped) timer = setTimeout(run, rest * 1000)
  }
  void run()
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}

/** `work` that does not throw: a failure is logged once until it works again. */
function attempting(work: () => Promise<void>, what: string, log: ProcessLog): () => Promise<void> {
  let failing = false
  return async () => {
    try {
      await work()
      failing = false
    } catch (err) {
      if (!failing) log.error({ err }, `${what} failed; trying again`)
      failing = true
    }
  }
}
