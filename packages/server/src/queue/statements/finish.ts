import { type Selectable, sql } from 'kysely'
import { bigint } from '../../db/clock.ts'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { RequestsTable } from '../../db/tables.ts'
import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import { CANCELLED } from '../outcomes.ts'
import type { CancelAnswer, ClaimToken, Outcome } from '../request-queue.ts'
import { outcomeColumns } from '../rows.ts'
import { aroundPayload, webhookPayload } from '../webhook-payload.ts'
import { describeBody, isInPieces, storePayload } from './payloads.ts'

/** The request and the state and attempt that it must still be in. */
export interface Expected {
  readonly requestId: string
  readonly state: 'queued' | 'running'
  /** Absent: whatever the attempt. */
  readonly attempt?: number
}

/** What the end of a request is announced with. */
type EndedRow = Pick<
  Selectable<RequestsTable>,
  'request_id' | 'endpoint_id' | 'webhook_url' | 'account' | 'webhook_host'
>

/**
 * Ends a request with its outcome and puts its webhook in the outbox: part of the caller's unit of work.
 * @returns what its end is announced with, or `undefined` when it was not in the expected state and nothing was changed
 */
export function finish(
  context: QueueContext,
  query: Query,
  expected: Expected,
  outcome: Outcome,
): Promise<EndedRow | undefined> {
  return isOneStatement(context, outcome)
    ? finishAtOnce(context, query, expected, outcome)
    : finishInTurn(context, query, expected, outcome)
}

function isOneStatement(context: QueueContext, outcome: Outcome): boolean {
  return context.database.capabilities.writingWith && !isInPieces(outcome.body)
}

/** `finish` as a unit of work of its own, on disk when it resolves. */
function finishAlone(context: QueueContext, expected: Expected, outcome: Outcome): Promise<EndedRow | undefined> {
  const { database } = context
  const end = (query: Query) => finish(context, query, expected, outcome)
  return isOneStatement(context, outcome) ? database.execute('synced', end) : database.atomically('synced', end)
}

async function finishInTurn(
  context: QueueContext,
  query: Query,
  expected: Expected,
  outcome: Outcome,
): Promise<EndedRow | undefined> {
  const ended = await endRequest(context, query, expected, outcome).executeTakeFirst()
  if (ended === undefined) return undefined
  const { text, bytes, pieces } = await storePayload(
    query,
    expected.requestId,
    'output',
    await describeBody(outcome.body),
  )
  await query
    .updateTable('payloads')
    .set(pieces === 0 ? { output: text } : { output: text, output_bytes: bytes, output_pieces: pieces })
    .where('request_id', '=', expected.requestId)
    .execute()
  if (ended.webhook_url !== null) {
    const payload = webhookPayload(expected.requestId, outcome)
    const receiver = { url: ended.webhook_url, account: ended.account, host: ended.webhook_host ?? '' }
    await query
      .insertInto('webhook_deliveries')
      .values({ request_id: expected.requestId, payload, ...receiver, ...dueNow(context) })
      .execute()
  }
  return ended
}

/** One statement: on a server across a network its round trips would take longer than its work. */
function finishAtOnce(
  context: QueueContext,
  query: Query,
  expected: Expected,
  outcome: Outcome,
): Promise<EndedRow | undefined> {
  const { before, after } = aroundPayload(expected.requestId, outcome)
  const { state, next_attempt_at, created_at } = dueNow(context)
  return query
    .with('ended', () => endRequest(context, query, expected, outcome))
    .with('result', (cte) => cte.selectNoFrom(sql<string>`${outcome.body}::text`.as('body')))
    .with('stored', (cte) =>
      cte
        .updateTable('payloads')
        .from(['ended', 'result'])
        .set((eb) => ({ output: eb.ref('result.body') }))
        .whereRef('payloads.request_id', '=', 'ended.request_id'),
    )
    .with('webhook', (cte) =>
      cte
        .insertInto('webhook_deliveries')
        .columns(['request_id', 'url', 'account', 'host', 'payload', 'state', 'next_attempt_at', 'created_at'])
        .expression((eb) =>
          eb
            .selectFrom(['ended', 'result'])
            .select([
              'ended.request_id',
              'ended.webhook_url',
              'ended.account',
              sql<string>`coalesce(ended.webhook_host, '')`.as('host'),
              sql<string>`${before}::text || result.body || ${after}::text`.as('payload'),
              sql.lit(state).as('state'),
              next_attempt_at.as('next_attempt_at'),
              created_at.as('created_at'),
            ])
            .where('ended.webhook_url', 'is not', null),
        ),
    )
    .selectFrom('ended')
    .selectAll()
    .executeTakeFirst()
}

function endRequest(context: QueueContext, query: Query, expected: Expected, outcome: Outcome) {
  const now = context.now()
  return query
    .updateTable('requests')
    .set({
      state: 'completed',
      completed_at: now,
      expires_at: sql`${now} + case store_io when 1 then ${bigint(retention(context, true))} else ${bigint(retention(context, false))} end`,
      lease_until: null,
      run_deadline: null,
      ...outcomeColumns(outcome),
    })
    .where('request_id', '=', expected.requestId)
    .where(inState(expected.state))
    .$if(expected.attempt !== undefined, (update) => update.where('attempt', '=', expected.attempt ?? 0))
    .returning(['request_id', 'endpoint_id', 'webhook_url', 'account', 'webhook_host'])
}

function dueNow(context: QueueContext) {
  const now = context.now()
  return { state: 'pending', next_attempt_at: now, created_at: now } as const
}

/** Milliseconds that a finished request is kept. */
export function retention(context: QueueContext, storeIo: boolean): number {
  return (storeIo ? context.options.payloadRetentionSeconds : context.options.resultRetentionSeconds) * 1000
}

/** Ends a claimed request. @returns false when the attempt is stale: nothing was changed */
export async function complete(context: QueueContext, claim: ClaimToken, outcome: Outcome): Promise<boolean> {
  const expected = { requestId: claim.requestId, state: 'running', attempt: claim.attempt } as const
  const ended = await finishAlone(context, expected, outcome)
  if (ended === undefined) return false
  announceChange(context, ended)
  return true
}

/**
 * Ends a waiting request at once; asks the runner of a running one to stop, which it learns from its heartbeat (and
 * earlier from the request's change event).
 */
export async function cancel(context: QueueContext, requestId: string): Promise<CancelAnswer> {
  const row = await context.database.atomically('synced', async (query) => {
    const row = await lockRequest(context, query, requestId)
    if (row?.state === 'queued') await finish(context, query, { requestId, state: 'queued' }, CANCELLED)
    else if (row?.state === 'running')
      await query.updateTable('requests').set({ cancel_requested: 1 }).where('request_id', '=', requestId).execute()
    return row
  })
  if (row === undefined) return 'not_found'
  if (row.state === 'completed') return 'already_completed'
  announceChange(context, row)
  return 'requested'
}

/** Reads a request's row and, where several write at once, holds it until the unit of work ends. */
export function lockRequest(context: QueueContext, query: Query, requestId: string) {
  return query
    .selectFrom('requests')
    .select(['request_id', 'endpoint_id', 'state', 'attempt', 'losses', 'retry', 'cancel_requested', 'webhook_url'])
    .where('request_id', '=', requestId)
    .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate())
    .executeTakeFirst()
}
