import { type Selectable, sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import { inState } from '../../db/in-state.ts'
import type { RequestsTable } from '../../db/tables.ts'
import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import { CANCELLED, poisoned, RUNNER_LOST } from '../outcomes.ts'
import type { ClaimToken, Outcome } from '../request-queue.ts'
import { finish, lockRequest } from './finish.ts'

/**
 * Hands a claimed request back to its old place, without a back-off and without counting a loss. One that was to be
 * cancelled ends instead.
 * @returns false when the attempt is stale
 */
export async function release(context: QueueContext, claim: ClaimToken): Promise<boolean> {
  const released = await context.database.atomically('synced', async (query) => {
    const row = await lockRequest(context, query, claim.requestId)
    if (row === undefined || row.state !== 'running' || row.attempt !== claim.attempt) return undefined
    if (row.cancel_requested === 1) await finish(context, query, { ...claim, state: 'running' }, CANCELLED)
    else
      await query
        .updateTable('requests')
        .set({ state: 'queued', runner_id: null, lease_until: null, run_deadline: null, started_at: null })
        .where('request_id', '=', claim.requestId)
        .execute()
    return row
  })
  if (released === undefined) return false
  context.events.publish({ type: 'work', endpointId: released.endpoint_id })
  announceChange(context, released)
  return true
}

/** Ends an attempt with a failure that another attempt may cure. @returns false when the attempt is stale */
export async function retry(context: QueueContext, claim: ClaimToken, outcome: Outcome): Promise<boolean> {
  const lost = await context.database.atomically('synced', async (query) => {
    const row = await lockRequest(context, query, claim.requestId)
    if (row === undefined || row.state !== 'running' || row.attempt !== claim.attempt) return undefined
    await loseAttempt(context, query, row, outcome)
    return row
  })
  if (lost === undefined) return false
  announceChange(context, lost)
  return true
}

export type RunningRow = Pick<
  Selectable<RequestsTable>,
  'request_id' | 'attempt' | 'losses' | 'retry' | 'cancel_requested'
>

/**
 * Ends an attempt that brought no result: the request returns to its old place after a back-off, unless it was
 * cancelled, asked for no retry, or has used up its attempts. Part of the caller's unit of work.
 *
 * @param outcome what the request ends with when it is not tried again
 */
export async function loseAttempt(
  context: QueueContext,
  query: Query,
  row: RunningRow,
  outcome?: Outcome,
): Promise<void> {
  const losses = row.losses + 1
  const ending = endingOf(row, losses, context.options.maxLosses, outcome)
  if (ending !== undefined) {
    await finish(context, query, { requestId: row.request_id, state: 'running', attempt: row.attempt }, ending)
    return
  }
  const { backoffSeconds, maxBackoffSeconds } = context.options
  const delay = Math.round(Math.min(backoffSeconds * 2 ** (losses - 1), maxBackoffSeconds) * 1000)
  await query
    .updateTable('requests')
    .set({
      state: 'queued',
      losses,
      not_before: sql`${context.now()} + ${delay}`,
      runner_id: null,
      lease_until: null,
      run_deadline: null,
      started_at: null,
    })
    .where('request_id', '=', row.request_id)
    .where('attempt', '=', row.attempt)
    .where(inState('running'))
    .execute()
}

function endingOf(row: RunningRow, losses: number, maxLosses: number, outcome?: Outcome): Outcome | undefined {
  if (row.cancel_requested === 1) return CANCELLED
  if (row.retry === 0) return outcome ?? RUNNER_LOST
  return losses >= maxLosses ? (outcome ?? poisoned(losses)) : undefined
}
