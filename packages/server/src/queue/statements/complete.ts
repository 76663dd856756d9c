import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimToken, Outcome } from '../request-queue.ts'
import { finishAlone } from './finish.ts'

/** Ends a claimed request. @returns false when the attempt is stale: nothing was changed */
export async function complete(context: QueueContext, claim: ClaimToken, outcome: Outcome): Promise<boolean> {
  const expected = { requestId: claim.requestId, state: 'running', attempt: claim.attempt } as const
  const ended = await finishAlone(context, expected, outcome)
  if (ended === undefined) return false
  announceChange(context, ended)
  return true
}
