import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import { CANCELLED } from '../outcomes.ts'
import type { ClaimToken } from '../request-queue.ts'
import { finish } from './finish.ts'
import { lockRequest } from './lock-request.ts'

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
