import { isStartedByNpm } from '../config/started-by-npm.ts'
import type { ProcessLog } from '../log/process-log.ts'

const LOOK_MILLISECONDS = 250
/** Who started this process; the start takes a while, in which it may go. */
const PARENT = process.ppid

/** Stops at the first Ctrl-C or SIGTERM, or when the npm that started this process is gone, which drains; a second one does not wait. */
export async function stopOnSignal(stop: () => Promise<void>, holding: string, log: ProcessLog): Promise<void> {
  const signal = await (isStartedByNpm() ? Promise.race([firstSignal(), orphaned()]) : firstSignal())
  console.log(`Stopping: ${holding}; again to stop at once.`)
  firstSignal().then(() => process.exit(130))
  await stop()
  log.info({ signal }, 'stopped')
}

/** Resolves when the process that started this one is gone: then another is its parent. */
function orphaned(): Promise<'parent gone'> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (process.ppid === PARENT) return
      clearInterval(timer)
      resolve('parent gone')
    }, LOOK_MILLISECONDS)
    timer.unref()
  })
}

/** Resolves with the next SIGINT (Ctrl-C) or SIGTERM of this process. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const answer = (signal: NodeJS.Signals) => {
      process.off('SIGINT', answer)
      process.off('SIGTERM', answer)
      resolve(signal)
    }
    process.on('SIGINT', answer)
    process.on('SIGTERM', answer)
  })
}
