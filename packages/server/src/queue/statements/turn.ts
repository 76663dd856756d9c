import { type RawBuilder, sql } from 'kysely'
import type { Submission } from '../request-queue.ts'
import { priorityOf } from '../rows.ts'

/**
 * Entries looked at for the turn that the queue has come to. Those that were claimed before and came back keep their old turns, which are
 * over: whoever comes now would pass everybody else with one of these.
 */
const ENTRIES = 32

/**
 * The turn of a request that is accepted now: the one after the account's last in this queue, but none that is over. So an account that has
 * a thousand waiting has one of them in each of the next thousand turns, and another's first request is of the turn that is taken now
 * (start-time fair queueing, Goyal, Vin and Cheng 1996, each request of weight one).
 *
 * Two ends of indexes are read, however many wait; where nothing waits, what runs says which turn it is.
 * @param next the one after the account's last where that is known better than from what is committed, see `ParallelTurns`
 */
export function turnOf(submission: Submission, next: number | undefined): RawBuilder<number> {
  const { account, endpointId } = submission
  const priority = priorityOf(submission)
  const queue = sql`endpoint_id = ${endpointId} and priority = ${priority}`
  return sql<number>`(select max(turn) from (
    select coalesce(cast(${next ?? null} as bigint), (
      select max(turn) + 1 from requests where state || '' = 'queued' and account = ${account} and ${queue}
    )) as turn
    union all
    select coalesce(
      (select coalesce(min(case attempt when 0 then turn end), max(turn)) from (
        select turn, attempt from requests where state = 'queued' and ${queue} order by turn, seq limit ${sql.lit(ENTRIES)}
      ) as first_entries),
      (select max(turn) from requests where state = 'running' and ${queue})
    )
    union all
    select 0
  ) as turns)`
}
