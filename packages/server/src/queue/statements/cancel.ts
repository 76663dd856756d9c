import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import { CANCELLED } from '../outcomes.ts'
import type { CancelAnswer } from '../request-queue.ts'
import { finish } from './finish.ts'
import { lockRequest } from './lock-request.ts'

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
