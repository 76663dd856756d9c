import type { Journalled } from './journal.ts'
import type { Accepted, Ledger, Result } from './ledger.ts'
import type { Death } from './system.ts'

export interface Account {
  readonly accepted: number
  /** Submits whose answer never came. */
  readonly unanswered: number
  /** Accepted, and no result was ever to be had. */
  readonly lost: readonly string[]
  /** The result is not that of the request's input, or an error. */
  readonly wrong: readonly string[]
  /** Two results were seen of one request: by two reads, or by a read and a webhook. */
  readonly completedTwice: readonly string[]
  readonly webhooksMissing: readonly string[]
  /** The same result delivered again, which receivers tell by the request id. */
  readonly webhooksRepeated: number
  /** Executions, a request's first included. */
  readonly executions: number
  /** From a runner's death to the start of the next execution of what it was working on, in milliseconds. */
  readonly restarts: readonly number[]
  /** The same for runners that hung. */
  readonly restartsAfterHang: readonly number[]
}

/** Accounts for every accepted request. */
export function account(ledger: Ledger, journal: readonly Journalled[], deaths: readonly Death[]): Account {
  const accepted = [...ledger.accepted.values()]
  const ids = (of: (entry: Accepted) => boolean) => accepted.filter(of).map(({ requestId }) => requestId)
  const webhooksOf = ({ requestId }: Accepted) => ledger.webhooks.get(requestId) ?? []
  return {
    accepted: accepted.length,
    unanswered: ledger.unanswered,
    lost: ids(({ lastResult }) => lastResult === undefined),
    wrong: ids(({ lastResult, token }) => lastResult !== undefined && !isRight(lastResult, token)),
    completedTwice: ids((entry) => new Set(resultsOf(entry, webhooksOf(entry)).map(fingerprint)).size > 1),
    webhooksMissing: ids((entry) => webhooksOf(entry).length === 0),
    webhooksRepeated: accepted.reduce((sum, entry) => sum + Math.max(0, webhooksOf(entry).length - 1), 0),
    executions: journal.filter(({ event }) => event === 'start').length,
    restarts: restartTimes(journal, deaths, false),
    restartsAfterHang: restartTimes(journal, deaths, true),
  }
}

function isRight({ status, token }: Result, expected: string): boolean {
  return status === 200 && token === expected
}

function resultsOf({ firstResult, lastResult }: Accepted, webhooks: readonly Result[]): Result[] {
  return [firstResult, lastResult, ...webhooks].flatMap((result) => result ?? [])
}

/** Every execution has an id of its own, so a second one shows. */
function fingerprint({ status, execution }: Result): string {
  return `${status === 200} ${execution}`
}

function restartTimes(journal: readonly Journalled[], deaths: readonly Death[], hung: boolean): number[] {
  const starts = journal.flatMap((entry) => (entry.event === 'start' ? [entry] : []))
  const times: number[] = []
  for (const death of deaths) {
    if ((death.hung === true) !== hung) continue
    for (const pid of death.pids) {
      const held = starts.findLast((start) => start.pid === pid && start.at <= death.at)
      const next = starts.find((start) => start.requestId === held?.requestId && start.at > death.at)
      // None: its result was stored before the death, or its client gave up waiting and nobody runs it again.
      if (next !== undefined) times.push(next.at - death.at)
    }
  }
  return times
}
