import type { QueueContext } from '../context.ts'
import type { ClaimToken, Outcome } from '../request-queue.ts'
import { finish } from './finish.ts'

/** Ends a claimed request. @returns false when the attempt is stale: nothing was changed */
export async function complete(context: QueueContext, claim: ClaimToken, outcome: Outcome): Promise<boolean> {
  const expected = { requestId: claim.requestId, state: 'running', attempt: claim.attempt } as const
  const endpointId = await context.database.atomically('synced', (query) => finish(context, query, expected, outcome))
  if (endpointId === undefined) return false
  context.events.publish({ type: 'request', requestId: claim.requestId })
  // Its place counts against the limit no longer.
  if (context.options.concurrency[endpointId] !== undefined) context.events.publish({ type: 'work', endpointId })
  return true
}
