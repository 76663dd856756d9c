import { sql } from 'kysely'
import type { Query } from '../../db/database.ts'
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
      .where('state', '=', sql.lit('queued'))
      .executeTakeFirst()
    return row === undefined ? 0 : countAhead(query, row.endpoint_id, row.priority, row.seq)
  })
}

export async function countAhead(query: Query, endpointId: string, priority: number, seq: number): Promise<number> {
  const ahead = query
    .selectFrom('requests')
    .where('state', '=', sql.lit('queued'))
    .where('endpoint_id', '=', endpointId)
    .where(sql<boolean>`(priority, seq) < (${priority}, ${seq})`)
  const { counted } = await query
    .selectFrom(ahead.select('seq').limit(COUNTED).as('ahead'))
    .select((eb) => eb.fn.countAll<number>().as('counted'))
    .executeTakeFirstOrThrow()
  if (counted < COUNTED) return counted
  const next = await ahead.select('seq').orderBy('priority').orderBy('seq').offset(COUNTED).limit(1).executeTakeFirst()
  // Every request accepted in between, of any endpoint, ended or not: never too few, and it falls as the queue moves.
  return next === undefined ? COUNTED : COUNTED + Math.max(1, seq - next.seq)
}
