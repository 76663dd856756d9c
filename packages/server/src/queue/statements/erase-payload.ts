import { sql } from 'kysely'
import type { QueueContext } from '../context.ts'
import { lockRequest } from './lock-request.ts'

/** Erases the bodies and logs of a finished request, whose row stays. @returns false when there is none */
export function erasePayload(context: QueueContext, requestId: string): Promise<boolean> {
  return context.database.atomically('synced', async (query) => {
    const row = await lockRequest(context, query, requestId)
    if (row?.state !== 'completed') return false
    await query
      .updateTable('payloads')
      .set({ input: sql.lit('null'), output: null })
      .where('request_id', '=', requestId)
      .execute()
    await query.deleteFrom('logs').where('request_id', '=', requestId).execute()
    return true
  })
}
