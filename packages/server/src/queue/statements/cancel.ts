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
  const answer = await context.database.atomically('synced', async (query): Promise<CancelAnswer> => {
    const row = await lockRequest(context, query, requestId)
    if (row === undefined) return 'not_found'
    if (row.state === 'completed') return 'already_completed'
    if (row.state === 'queued') await finish(context, query, { requestId, state: 'queued' }, CANCELLED)
    else await query.updateTable('requests').set({ cancel_requested: 1 }).where('request_id', '=', requestId).execute()
    return 'requested'
  })
  if (answer === 'requested') context.events.publish({ type: 'request', requestId })
  return answer
}
