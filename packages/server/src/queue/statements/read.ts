import { sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { RequestsTable } from '../../db/tables.ts'
import type { QueueContext } from '../context.ts'
import type { EndpointLoad, RequestRecord, RequestStatus } from '../request-queue.ts'
import { toStatus } from '../rows.ts'
import { payloads, payloadText } from './payloads.ts'

type Kind = RequestsTable['kind']

/** A request of the queue with its bodies, however long these are. */
export async function get(context: QueueContext, requestId: string): Promise<RequestRecord | undefined> {
  const row = await status(context, requestId)
  const stored = row === undefined ? undefined : await payloads(context, requestId)
  if (row === undefined || stored === undefined) return undefined
  const { outcome, ...rest } = row
  const body = stored.output === undefined ? 'null' : await payloadText(stored.output)
  return {
    ...rest,
    input: stored.input === undefined ? 'null' : await payloadText(stored.input),
    ...(outcome !== undefined && { outcome: { ...outcome, body } }),
  }
}

export function status(
  context: QueueContext,
  requestId: string,
  kinds: readonly Kind[] = ['queue'],
): Promise<RequestStatus | undefined> {
  return context.database.read(async (query) => {
    const row = await query
      .selectFrom('requests')
      .selectAll()
      .where('request_id', '=', requestId)
      .where('kind', 'in', kinds)
      .executeTakeFirst()
    return row === undefined ? undefined : toStatus(row)
  })
}

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

/** How many requests of each endpoint wait and run. */
export async function load(context: QueueContext): Promise<EndpointLoad[]> {
  const [queued, running] = await Promise.all([counts(context, 'queued'), counts(context, 'running')])
  const endpointIds = [...new Set([...queued.keys(), ...running.keys()])].sort()
  return endpointIds.map((endpointId) => ({
    endpointId,
    queued: queued.get(endpointId) ?? 0,
    running: running.get(endpointId) ?? 0,
  }))
}

async function counts(context: QueueContext, state: 'queued' | 'running'): Promise<Map<string, number>> {
  const rows = await context.database.read((query) =>
    query
      .selectFrom('requests')
      .select((eb) => ['endpoint_id', eb.fn.countAll<number>().as('count')])
      .where('state', '=', sql.lit(state))
      .groupBy('endpoint_id')
      .execute(),
  )
  return new Map(rows.map((row) => [row.endpoint_id, row.count]))
}
