import { sql } from 'kysely'
import { inState } from '../../db/in-state.ts'
import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimToken, RunnerAdvertisement } from '../request-queue.ts'
import { loseAttempt } from './give-back.ts'

export async function advertise(context: QueueContext, runner: RunnerAdvertisement): Promise<void> {
  const row = { advertisement: JSON.stringify(runner), heard_at: context.now() }
  await context.database.execute('relaxed', (query) =>
    query
      .insertInto('runners')
      .values({ runner_id: runner.runnerId, ...row })
      .onConflict((conflict) => conflict.column('runner_id').doUpdateSet(row))
      .execute(),
  )
}

/** Takes a runner off the list; what it still held is lost with it and returns to the queue. */
export async function withdraw(context: QueueContext, runnerId: string): Promise<void> {
  const rows = await context.database.atomically('synced', async (query) => {
    await query.deleteFrom('runners').where('runner_id', '=', runnerId).execute()
    const held = await query
      .selectFrom('requests')
      .select(['request_id', 'endpoint_id', 'attempt', 'losses', 'retry', 'cancel_requested', 'webhook_url'])
      .where('state', '=', sql.lit('running'))
      .where('runner_id', '=', runnerId)
      .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate())
      .execute()
    for (const row of held) await loseAttempt(context, query, row)
    return held
  })
  for (const row of rows) announceChange(context, row)
}

export async function runners(context: QueueContext): Promise<RunnerAdvertisement[]> {
  const alive = sql<number>`${context.now()} - ${context.options.leaseSeconds * 1000}`
  const rows = await context.database.read((query) =>
    query.selectFrom('runners').select('advertisement').where('heard_at', '>', alive).orderBy('runner_id').execute(),
  )
  return rows.map((row) => JSON.parse(row.advertisement))
}

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
