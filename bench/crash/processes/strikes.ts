import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { LocalRunners } from '../../../packages/server/src/processes/runners/local-runners.ts'

/** Which runner got the signal and when; neither where none was up. */
export interface Struck {
  readonly pid?: number
  readonly at?: number
}

/**
 * Carries out what the bench asks the process for that watches over runners: `{ strike: signal }` to one of them, and
 * `{ list: 'runners' }`. Done here, by the parent, because a process id that was read elsewhere may be another
 * process's by now.
 */
export function obeyStrikes(runners: LocalRunners, journal: string): void {
  const up = () =>
    runners.supervisors
      .flatMap(({ child }) => child ?? [])
      .filter(({ pid }) => existsSync(join(journal, `${pid}.jsonl`)))
  process.on('message', (message) => {
    if (typeof message !== 'object' || message === null) return
    if ('list' in message) process.send?.({ runners: up().map(({ pid }) => pid) })
    if (!('strike' in message)) return
    const candidates = up()
    const child = candidates[Math.floor(Math.random() * candidates.length)]
    const at = Date.now()
    child?.kill(message.strike as NodeJS.Signals)
    process.send?.({ struck: child?.pid === undefined ? {} : { pid: child.pid, at } })
  })
}
