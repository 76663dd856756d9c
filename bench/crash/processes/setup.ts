import type { Config } from '../../../packages/server/src/config/config.ts'

/** The configuration of every process here. */
export interface BenchConfig extends Config {
  /** Folder of the journal. */
  readonly journal: string
}

/** The first message that `ManagedProcess` sends to a process. */
export function receiveSetup<T = BenchConfig>(): Promise<T> {
  return new Promise((resolve) => {
    process.once('message', (message) => resolve(message as T))
  })
}

/** Stops in order on SIGTERM, and when the bench is gone. */
export function stopOnTerm(stop: () => Promise<void>): void {
  const leave = async () => {
    await stop()
    process.exit(0)
  }
  process.once('SIGTERM', leave)
  process.once('disconnect', leave)
}
