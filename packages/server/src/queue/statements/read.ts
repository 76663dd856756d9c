import { type Selectable, type SqlBool, sql } from 'kysely'
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

/** Where a request stands: in the queue of its endpoint, by priority, then turn, then order of acceptance. */
type Place = Pick<Selectable<RequestsTable>, 'endpoint_id' | 'priority' | 'turn' | 'seq'>

/** Requests of the same endpoint that will be taken before this one; 0 when it does not wait. */
export function position(context: QueueContext, requestId: string): Promise<number> {
  return context.database.read(async (query) => {
    const row = await query
      .selectFrom('requests')
      .select(['endpoint_id', 'priority', 'turn', 'seq'])
      .where('request_id', '=', requestId)
      .where(inState('queued'))
      .executeTakeFirst()
    return row === undefined ? 0 : countAhead(query, row)
  })
}

export async function countAhead(query: Query, place: Place): Promise<number> {
  const same = await countWaiting(query, place, place)
  return place.priority === 0 ? same : same + (await countWaiting(query, { ...place, priority: 0 }))
}

/** Waiting requests of one priority, those before a place or all: a range of the index, read up to a limit. */
async function countWaiting(
  query: Query,
  { endpoint_id, priority }: Pick<Place, 'endpoint_id' | 'priority'>,
  before?: Place,
): Promise<number> {
  const waiting = query
    .selectFrom('requests')
    .where('state', '=', sql.lit('queued'))
    .where('endpoint_id', '=', endpoint_id)
    .where('priority', '=', priority)
    .$if(before !== undefined, (select) => select.where(sql<SqlBool>`(turn, seq) < (${before?.turn}, ${before?.seq})`))
  const { counted } = await query
    .selectFrom(waiting.select('seq').limit(COUNTED).as('ahead'))
    .select((eb) => eb.fn.countAll<number>().as('counted'))
    .executeTakeFirstOrThrow()
  if (counted < COUNTED) return counted
  const inOrder = waiting.select(['turn', 'seq']).orderBy('turn').orderBy('seq')
  const backwards = waiting.select(['turn', 'seq']).orderBy('turn', 'desc').orderBy('seq', 'desc')
  const [first, counter, last] = await Promise.all([
    inOrder.limit(1).executeTakeFirst(),
    inOrder
      .offset(COUNTED - 1)
      .limit(1)
      .executeTakeFirst(),
    backwards.limit(1).executeTakeFirst(),
  ])
  // Some may have been taken since they were counted.
  if (first === undefined || counter === undefined || last === undefined) return counted
  return counted + estimateBetween(first, counter, last)
}

type Turn = Pick<Place, 'turn' | 'seq'>

/**
 * Waiting requests behind the last one that was counted, up to the last of all. A later turn holds no more than an earlier one, for accounts
 * only drop out of them: so it is not too few, and it falls as the queue moves.
 */
function estimateBetween(first: Turn, counted: Turn, last: Turn): number {
  // Of one turn there may be everything that was accepted between the two, of any endpoint, ended or not.
  if (counted.turn === last.turn) return last.seq - counted.seq
  const ofEachTurn = COUNTED / Math.max(counted.turn - first.turn, 1)
  return Math.ceil((last.turn - counted.turn) * ofEachTurn)
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
