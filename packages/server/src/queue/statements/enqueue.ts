import { type Selectable, sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import type { RequestsTable } from '../../db/tables.ts'
import { requestError } from '../../errors/errors.ts'
import type { QueueContext } from '../context.ts'
import type { Submission } from '../request-queue.ts'
import { priorityOf, submissionColumns } from '../rows.ts'
import { type DescribedBody, describeBody, storePayload } from './payloads.ts'
import { countAhead } from './read.ts'
import { turnOf } from './turn.ts'

/** Stores a request at the end of its account's line in its endpoint's queue; resolves with the number of requests ahead, once on disk. */
export async function enqueue(context: QueueContext, submission: Submission): Promise<number> {
  const { maxQueueLength } = submission
  const { writingWith } = context.database.capabilities
  const body = await describeBody(submission.input)
  const store = (next: number | undefined): Promise<StoredPlace> =>
    writingWith && maxQueueLength === undefined && body.pieces === undefined
      ? context.database.execute('synced', (query) => insertBoth(context, query, submission, next))
      : context.database.atomically('synced', async (query) => {
          const place = await insertRequest(context, query, submission, next)
          if (maxQueueLength !== undefined) await refuseWhenFull(query, submission, place, maxQueueLength)
          await storeInput(query, submission.requestId, body)
          return place
        })
  const place = context.database.capabilities.rowLocks
    ? await context.parallelTurns.place(lineOf(submission), store)
    : await store(undefined)
  context.events.publish({ type: 'work', endpointId: submission.endpointId })
  return context.database.read((query) => ahead(query, submission, place))
}

function ahead(query: Query, submission: Submission, place: StoredPlace): Promise<number> {
  return countAhead(query, { endpoint_id: submission.endpointId, priority: priorityOf(submission), ...place })
}

type StoredPlace = Pick<Selectable<RequestsTable>, 'seq' | 'turn'>

/** Whose turns are counted together. */
function lineOf({ account, endpointId, priority }: Submission): string {
  return JSON.stringify([account, endpointId, priority])
}

function insertRequest(context: QueueContext, query: Query, submission: Submission, next: number | undefined) {
  return query
    .insertInto('requests')
    .values(requestRow(context, submission, next))
    .returning(['seq', 'turn'])
    .executeTakeFirstOrThrow()
}

/** One round trip instead of four. */
function insertBoth(context: QueueContext, query: Query, submission: Submission, next: number | undefined) {
  return query
    .with('payload', (first) => first.insertInto('payloads').values(payloadRow(submission)).returning('request_id'))
    .insertInto('requests')
    .values(requestRow(context, submission, next))
    .returning(['seq', 'turn'])
    .executeTakeFirstOrThrow()
}

async function storeInput(query: Query, requestId: string, body: DescribedBody): Promise<void> {
  const { text, bytes, pieces } = await storePayload(query, requestId, 'input', body)
  const inPieces = pieces === 0 ? {} : { input_bytes: bytes, input_pieces: pieces }
  const row = { request_id: requestId, input: text, output: null, ...inPieces }
  await query.insertInto('payloads').values(row).execute()
}

function payloadRow(submission: Submission) {
  return { request_id: submission.requestId, input: submission.input, output: null }
}

function requestRow(context: QueueContext, submission: Submission, next: number | undefined) {
  const now = context.now()
  const { startTimeoutSeconds } = submission
  return {
    ...submissionColumns(submission),
    kind: 'queue',
    state: 'queued',
    attempt: 0,
    turn: turnOf(submission, next),
    accepted_at: now,
    start_deadline:
      startTimeoutSeconds === undefined ? null : sql<number>`${now} + ${Math.round(startTimeoutSeconds * 1000)}`,
  } as const
}

/** What waits of other accounts behind it keeps no request out: a thousand of one account would refuse everybody's. */
async function refuseWhenFull(query: Query, submission: Submission, place: StoredPlace, limit: number): Promise<void> {
  const waiting = await ahead(query, submission, place)
  if (waiting < limit) return
  throw requestError(
    'concurrent_requests_limit',
    `The queue of ${submission.endpointId} holds ${waiting} requests before this one, and it asked for at most ${limit}`,
  )
}
