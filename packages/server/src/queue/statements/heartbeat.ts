import { sql } from 'kysely'
import { inState } from '../../db/in-state.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimToken } from '../request-queue.ts'

/** Renews the leases of what a runner works on; resolves with the request ids that it should stop. */
export async function heartbeat(
  context: QueueContext,
  runnerId: string,
  claims: readonly ClaimToken[],
): Promise<string[]> {
  const now = context.now()
  const held = await context.database.atomically('relaxed', async (query) => {
    await query.updateTable('runners').set({ heard_at: now }).where('runner_id', '=', runnerId).execute()
    if (claims.length === 0) return []
    return query
      .updateTable('requests')
      .set({ lease_until: sql`${now} + ${context.options.leaseSeconds * 1000}` })
      .where(inState('running'))
      .where('runner_id', '=', runnerId)
      .where((eb) => eb.or(claims.map((claim) => eb.and({ request_id: claim.requestId, attempt: claim.attempt }))))
      .returning(['request_id', 'cancel_requested'])
      .execute()
  })
  const going = new Set(held.filter((row) => row.cancel_requested === 0).map((row) => row.request_id))
  return claims.map((claim) => claim.requestId).filter((id) => !going.has(id))
}
