import { readFileSync } from 'node:fs'
import { endsWithin } from '../channel/deadline.ts'
import type { Runner } from './runner.ts'

/**
 * What a supervised runner tells its supervisor over the IPC channel, told apart from other messages of that channel by
 * this key.
 */
export interface RunnerReport {
  readonly runnerReport: {
    readonly runnerId: string
    /**
     * Resident memory. On Linux without the pages of mapped files: those are the weights, and the system takes them back
     * when it needs memory; elsewhere with them.
     */
    readonly residentBytes: number
  }
}

export function isRunnerReport(message: unknown): message is RunnerReport {
  return typeof message === 'object' && message !== null && 'runnerReport' in message
}

export interface SupervisedOptions {
  /** Seconds that a drain may take; 30 when absent. */
  readonly drainSeconds?: number
  /** Milliseconds between reports; 1000 when absent. */
  readonly reportMs?: number
  /** Runs behind the drain, before the process exits: close the database here. */
  readonly onDrained?: () => Promise<void>
  /** Seconds that `onDrained` may take; 3 when absent. */
  readonly closeSeconds?: number
}

/**
 * Makes this process a supervised runner: reports to the parent that the event loop turns, drains on SIGTERM and
 * SIGINT, and ends when the parent is gone, for whoever is left without a supervisor holds a device nobody looks after.
 * Works without a parent too: a runner on a machine of its own drains on the same signals.
 */
export function superviseSelf(runner: Runner, options: SupervisedOptions = {}): void {
  const report = () => {
    const message: RunnerReport = {
      runnerReport: { runnerId: runner.runnerId, residentBytes: residentBytes() },
    }
    // A parent that dies between the check and the write is what 'disconnect' is for.
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }
  let leaving = false
  const leave = async () => {
    if (leaving) return
    leaving = true
    await runner.drain(options.drainSeconds ?? 30)
    const closed = options.onDrained?.() ?? Promise.resolve()
    if (
      await endsWithin(
        closed.catch(() => {}),
        options.closeSeconds ?? 3,
      )
    )
      process.exit(0)
    // An exit waits for worker threads, and one that is stuck in a native call never ends.
    process.kill(process.pid, 'SIGKILL')
  }
  process.once('SIGTERM', leave)
  process.once('SIGINT', leave)
  // Reports only now: whoever knows that this runner is up may stop it at once.
  report()
  setInterval(report, options.reportMs ?? 1_000).unref()
  if (process.connected) process.once('disconnect', leave)
  // The parent died while this process came up: there is no 'disconnect' any more.
  else if (process.send !== undefined) void leave()
}

function residentBytes(): number {
  if (process.platform === 'linux') {
    const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kilobytes !== undefined) return Number(kilobytes) * 1024
  }
  return process.memoryUsage.rss()
}
