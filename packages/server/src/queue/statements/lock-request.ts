import type { Query } from '../../db/database.ts'
import type { QueueContext } from '../context.ts'

/** Reads a request's row and, where several write at once, holds it until the unit of work ends. */
export function lockRequest(context: QueueContext, query: Query, requestId: string) {
  return query
    .selectFrom('requests')
    .select(['request_id', 'endpoint_id', 'state', 'attempt', 'losses', 'retry', 'cancel_requested', 'webhook_url'])
    .where('request_id', '=', requestId)
    .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate())
    .executeTakeFirst()
}
