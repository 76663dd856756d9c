import type { QueueContext } from '../context.ts'
import type { RequestFilter, RequestPage } from '../request-queue.ts'
import { toStatus } from '../rows.ts'

/** HTTP statuses of each result, the end not included. */
const STATUSES = { success: [200, 300], user_error: [400, 500], error: [500, 600] } as const

/** An endpoint's requests, newest first. */
export async function list(context: QueueContext, filter: RequestFilter): Promise<RequestPage> {
  const { endpointId, limit, requestId, acceptedFrom, acceptedBefore, result } = filter
  const before = cursorOf(filter.cursor)
  const rows = await context.database.read((query) => {
    let select = query.selectFrom('requests').selectAll().where('endpoint_id', '=', endpointId)
    if (before !== undefined) select = select.where('seq', '<', before)
    if (requestId !== undefined) select = select.where('request_id', '=', requestId)
    if (acceptedFrom !== undefined) select = select.where('accepted_at', '>=', acceptedFrom.getTime())
    if (acceptedBefore !== undefined) select = select.where('accepted_at', '<', acceptedBefore.getTime())
    if (result !== undefined)
      select = select.where('status', '>=', STATUSES[result][0]).where('status', '<', STATUSES[result][1])
    return select
      .orderBy('seq', 'desc')
      .limit(limit + 1)
      .execute()
  })
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    requests: page.map(toStatus),
    ...(rows.length > limit && last !== undefined && { next: String(last.seq) }),
  }
}

/** A cursor that is none of ours starts at the newest. */
function cursorOf(cursor: string | undefined): number | undefined {
  const seq = Number(cursor)
  return cursor !== undefined && Number.isSafeInteger(seq) ? seq : undefined
}
