import { type RawBuilder, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import { bigint } from '../../db/clock.ts'
import type { Query } from '../../db/database.ts'
import type { RequestsTable, Schema } from '../../db/tables.ts'
import type { QueueContext } from '../context.ts'
import type {
  AnsweredRun,
  ListingOrder,
  PayloadPart,
  RequestFilter,
  RequestPage,
  UsageFilter,
  UsageRow,
} from '../request-queue.ts'
import { outcomeColumns, submissionColumns, toStatus } from '../rows.ts'
import { lockRequest, retention } from './finish.ts'
import { describeBody, erasePayloads, type PayloadColumns, storePayload } from './payloads.ts'

/** HTTP statuses of each result, the end not included. */
const STATUSES = { success: [200, 300], user_error: [400, 500], error: [500, 600] } as const

type Row = Selectable<RequestsTable>
type Select<T> = SelectQueryBuilder<Schema, 'requests', T>

/** An endpoint's requests in pages; a page begins behind the last row of the one before, whatever came in between. */
export async function list(context: QueueContext, filter: RequestFilter): Promise<RequestPage> {
  const { order, limit } = filter
  const rows = await context.database.read((query) => pageStatement(query, filter).execute())
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    requests: page.map(toStatus),
    cursors: page.map((row) => cursorAt(row, order)),
    ...(rows.length > limit && last !== undefined && { next: cursorAt(last, order) }),
  }
}

/** Selects a page's rows and, to know whether there is another, the one behind it. */
export function pageStatement(query: Query, filter: RequestFilter): Select<Row> {
  const { order, limit } = filter
  const select = narrowed(query.selectFrom('requests').selectAll(), filter)
  return (order === undefined ? byAcceptance(select, filter) : sorted(select, filter, order)).limit(limit + 1)
}

function narrowed(select: Select<Row>, filter: RequestFilter): Select<Row> {
  const { account, endpointId, requestId, acceptedFrom, acceptedBefore, result } = filter
  let narrow = select.where('account', '=', account).where('endpoint_id', '=', endpointId)
  if (requestId !== undefined) narrow = narrow.where('request_id', '=', requestId)
  if (acceptedFrom !== undefined) narrow = narrow.where('accepted_at', '>=', acceptedFrom.getTime())
  if (acceptedBefore !== undefined) narrow = narrow.where('accepted_at', '<', acceptedBefore.getTime())
  if (result === undefined) return narrow
  return narrow.where('status', '>=', STATUSES[result][0]).where('status', '<', STATUSES[result][1])
}

function byAcceptance(select: Select<Row>, { cursor }: RequestFilter): Select<Row> {
  const [, seq] = /^(\d{1,15})$/.exec(cursor ?? '') ?? []
  return (seq === undefined ? select : select.where('seq', '<', Number(seq))).orderBy('seq', 'desc')
}

/** The expressions and conditions are those of the indexes, word for word: SQLite uses an index on no other terms. */
const SORT_KEY: Readonly<Record<ListingOrder, RawBuilder<number>>> = {
  ended: sql<number>`completed_at`,
  duration: sql<number>`(completed_at - started_at)`,
}

function sorted(select: Select<Row>, { cursor }: RequestFilter, order: ListingOrder): Select<Row> {
  const key = SORT_KEY[order]
  let sort = select.where('state', '=', sql.lit('completed'))
  if (order === 'duration') sort = sort.where('started_at', 'is not', null)
  const [, before, value, seq] = /^(ended|duration)\.(-?\d{1,15})\.(\d{1,15})$/.exec(cursor ?? '') ?? []
  if (before === order)
    sort = sort.where(sql<boolean>`(${key}, seq) < (${bigint(Number(value))}, ${bigint(Number(seq))})`)
  return sort.orderBy(key, 'desc').orderBy('seq', 'desc')
}

/** A cursor of another order, or none of ours, starts at the first row. */
function cursorAt({ seq, completed_at, started_at }: Row, order: ListingOrder | undefined): string {
  if (order === undefined) return String(seq)
  const ended = completed_at ?? 0
  return `${order}.${order === 'ended' ? ended : ended - (started_at ?? ended)}.${seq}`
}

/** Counts requests that ended well, through the index of an endpoint's requests by their end. */
export async function usage(context: QueueContext, filter: UsageFilter): Promise<UsageRow[]> {
  const { account, endpointIds, keyIds, from, before, bucketMs } = filter
  if (endpointIds.length === 0) return []
  // Whole numbers divide to whole numbers in both dialects.
  const bucket = sql<number>`(completed_at / ${bigint(bucketMs)})`
  const rows = await context.database.read((query) => {
    let select = query
      .selectFrom('requests')
      .select([bucket.as('bucket'), 'endpoint_id', 'key_id', sql<number>`count(*)`.as('requests')])
      .where('account', '=', account)
      .where('endpoint_id', 'in', endpointIds)
      .where('state', '=', sql.lit('completed'))
      .where('completed_at', '>=', from.getTime())
      .where('completed_at', '<', before.getTime())
      .where('status', '>=', STATUSES.success[0])
      .where('status', '<', STATUSES.success[1])
    if (keyIds) select = select.where('key_id', 'in', keyIds)
    return select.groupBy(['bucket', 'endpoint_id', 'key_id']).orderBy('bucket').orderBy('endpoint_id').execute()
  })
  return rows.map(({ bucket, endpoint_id, key_id, requests }) => ({
    startedAt: new Date(Number(bucket) * bucketMs),
    endpointId: endpoint_id,
    ...(key_id !== null && { keyId: key_id }),
    requests: Number(requests),
  }))
}

/** Keeps synchronously answered requests for the listings: all of them or none. */
export async function record(context: QueueContext, runs: readonly AnsweredRun[]): Promise<void> {
  const requests = runs.map((run) => requestRow(context, run))
  await context.database.atomically('relaxed', async (query) => {
    const payloads = []
    for (const run of runs) payloads.push(await recordedPayload(context, query, run))
    await query.insertInto('payloads').values(payloads).execute()
    await query.insertInto('requests').values(requests).execute()
  })
}

/** Nobody was promised the bodies of a run: what is large is named by its size, and not kept. */
async function recordedPayload(context: QueueContext, query: Query, run: AnsweredRun) {
  const most = context.options.maxRecordedCharacters
  const record = async (part: PayloadPart, text: string): Promise<PayloadColumns> =>
    text.length <= most
      ? storePayload(query, run.requestId, part, await describeBody(text))
      : { text: '', bytes: Buffer.byteLength(text), pieces: 0 }
  const { inputBytes } = run
  const input = inputBytes === undefined ? await record('input', run.input) : { text: '', bytes: inputBytes, pieces: 0 }
  const output = await record('output', run.outcome.body)
  return {
    request_id: run.requestId,
    input: input.text,
    input_bytes: input.bytes,
    input_pieces: input.pieces,
    output: output.text,
    output_bytes: output.bytes,
    output_pieces: output.pieces,
  }
}

function requestRow(context: QueueContext, run: AnsweredRun) {
  const completedAt = run.completedAt.getTime()
  return {
    ...submissionColumns(run),
    ...outcomeColumns(run.outcome),
    kind: 'run',
    state: 'completed',
    attempt: 1,
    accepted_at: run.acceptedAt.getTime(),
    started_at: run.startedAt?.getTime() ?? null,
    completed_at: completedAt,
    expires_at: completedAt + retention(context, run.storeIo),
  } as const
}

/** Erases the bodies and logs of a finished request, whose row stays. @returns false when there is none */
export function erasePayload(context: QueueContext, requestId: string): Promise<boolean> {
  return context.database.atomically('synced', async (query) => {
    const row = await lockRequest(context, query, requestId)
    if (row?.state !== 'completed') return false
    await erasePayloads(query, [requestId])
    await query.deleteFrom('logs').where('request_id', '=', requestId).execute()
    return true
  })
}
