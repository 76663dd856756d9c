import type { QueueContext } from '../context.ts'
import type { RequestRecord, RequestStatus } from '../request-queue.ts'
import { toRecord, toStatus } from '../rows.ts'

/** A request of the queue, or of either kind, with its bodies. */
export function get(
  context: QueueContext,
  requestId: string,
  kinds: readonly ('queue' | 'run')[] = ['queue'],
): Promise<RequestRecord | undefined> {
  return context.database.read(async (query) => {
    const row = await query
      .selectFrom('requests')
      .innerJoin('payloads', 'payloads.request_id', 'requests.request_id')
      .selectAll('requests')
      .select(['payloads.input', 'payloads.output'])
      .where('requests.request_id', '=', requestId)
      .where('requests.kind', 'in', kinds)
      .executeTakeFirst()
    return row === undefined ? undefined : toRecord(row)
  })
}

export function status(context: QueueContext, requestId: string): Promise<RequestStatus | undefined> {
  return context.database.read(async (query) => {
    const row = await query
      .selectFrom('requests')
      .selectAll()
      .where('request_id', '=', requestId)
      .where('kind', '=', 'queue')
      .executeTakeFirst()
    return row === undefined ? undefined : toStatus(row)
  })
}
