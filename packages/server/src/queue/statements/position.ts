import { sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { QueueContext } from '../context.ts'

/** Requests ahead are counted one by one up to here (0.5 ms on libsql, 3 ms on PostgreSQL), and estimated beyond. */
const COUNTED = 10_000

/** Requests of the same endpoint that will be taken before this one; 0 when it does not wait. */
export function position(context: QueueContext, requestId: string): Promise<number> {
  return context.database.read(async (query) => {
    const row = await query
      .selectFrom('requests')
      .select(['endpoint_id', 'priority', 'seq'])
      .where('request_id', '=', requestId)
      .where(inState('queued'))
      .executeTakeFirst()
    return row === undefined ? 0 : countAhead(query, row.endpoint_id, row.priority, row.seq)
  })
}

export async function countAhead(query: Query, endpointId: string, priority: number, seq: number): Promise<number> {
  const same = await countWaiting(query, endpointId, priority, seq)
  return priority === 0 ? same : same + (await countWaiting(query, endpointId, 0))
}

/** Waiting requests of one priority, those accepted before `seq` or all: a range of the index, read up to a limit. */
async function countWaiting(query: Query, endpointId: string, priority: number, seq?: number): Promise<number> {
  const waiting = query
    .selectFrom('requests')
    .select('seq')
    .where('state', '=', sql.lit('queued'))
    .where('endpoint_id', '=', endpointId)
    .where('priority', '=', priority)
    .$if(seq !== undefined, (select) => select.where('seq', '<', seq ?? 0))
  const { counted } = await query
    .selectFrom(waiting.limit(COUNTED).as('ahead'))
    .select((eb) => eb.fn.countAll<number>().as('counted'))
    .executeTakeFirstOrThrow()
  if (counted < COUNTED) return counted
  const first = await waiting.orderBy('seq').offset(COUNTED).limit(1).executeTakeFirst()
  if (first === undefined) return COUNTED
  const last = await waiting.orderBy('seq', 'desc').limit(1).executeTakeFirstOrThrow()
  // Everything accepted between the two, of any endpoint, ended or not: never too few, and it falls as the queue moves.
  return COUNTED + last.seq - first.seq + 1
}
