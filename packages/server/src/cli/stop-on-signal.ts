import type { Logger } from 'pino'
import { firstSignal } from './first-signal.ts'

/** Stops at the first Ctrl-C or SIGTERM, which drains; a second one does not wait. */
export async function stopOnSignal(stop: () => Promise<void>, holding: string, log: Logger): Promise<void> {
  const signal = await firstSignal()
  console.log(`Stopping: ${holding}; again to stop at once.`)
  firstSignal().then(() => process.exit(130))
  await stop()
  log.info({ signal }, 'stopped')
}
