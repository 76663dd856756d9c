import { type Selectable, sql } from 'kysely'
import { bigint } from '../../db/clock.ts'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { RequestsTable } from '../../db/schema.ts'
import type { QueueContext } from '../context.ts'
import type { Outcome } from '../request-queue.ts'
import { outcomeColumns } from '../rows.ts'
import { webhookPayload } from '../webhook-payload.ts'

/** The request and the state and attempt that it must still be in. */
export interface Expected {
  readonly requestId: string
  readonly state: 'queued' | 'running'
  /** Absent: whatever the attempt. */
  readonly attempt?: number
}

/**
 * Ends a request with its outcome and puts its webhook in the outbox: part of the caller's unit of work.
 * @returns what its end is announced with, or `undefined` when it was not in the expected state and nothing was changed
 */
export async function finish(
  context: QueueContext,
  query: Query,
  expected: Expected,
  outcome: Outcome,
): Promise<Pick<Selectable<RequestsTable>, 'request_id' | 'endpoint_id' | 'webhook_url'> | undefined> {
  const now = context.now()
  const ended = await query
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
    .returning(['request_id', 'endpoint_id', 'webhook_url'])
    .executeTakeFirst()
  if (ended === undefined) return undefined
  await query
    .updateTable('payloads')
    .set({ output: outcome.body })
    .where('request_id', '=', expected.requestId)
    .execute()
  if (ended.webhook_url !== null) await recordWebhook(context, query, expected.requestId, ended.webhook_url, outcome)
  return ended
}

/** Milliseconds that a finished request is kept. */
export function retention(context: QueueContext, storeIo: boolean): number {
  return (storeIo ? context.options.payloadRetentionSeconds : context.options.resultRetentionSeconds) * 1000
}

async function recordWebhook(
  context: QueueContext,
  query: Query,
  requestId: string,
  url: string,
  outcome: Outcome,
): Promise<void> {
  const now = context.now()
  await query
    .insertInto('webhook_deliveries')
    .values({
      request_id: requestId,
      url,
      payload: webhookPayload(requestId, outcome),
      state: 'pending',
      next_attempt_at: now,
      created_at: now,
    })
    .execute()
}
