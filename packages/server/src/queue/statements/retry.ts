import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimToken, Outcome } from '../request-queue.ts'
import { lockRequest } from './lock-request.ts'
import { loseAttempt } from './lose-attempt.ts'

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
