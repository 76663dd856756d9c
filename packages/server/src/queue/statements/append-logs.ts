import { inState } from '../../db/in-state.ts'
import type { QueueContext } from '../context.ts'
import type { ClaimToken, LogEntry } from '../request-queue.ts'

/** Adds entries to a request's log, unless the attempt is stale. */
export async function appendLogs(
  context: QueueContext,
  claim: ClaimToken,
  entries: readonly LogEntry[],
): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map((entry) => ({
    request_id: claim.requestId,
    logged_at: entry.timestamp.getTime(),
    level: entry.level,
    // NUL ends a text in libsql and is refused by PostgreSQL.
    message: entry.message.replaceAll('\0', '\uFFFD'),
    done: entry.progress?.done ?? null,
    total: entry.progress?.total ?? null,
  }))
  const appended = await context.database.atomically('relaxed', async (query) => {
    const current = await query
      .selectFrom('requests')
      .select('seq')
      .where('request_id', '=', claim.requestId)
      .where('attempt', '=', claim.attempt)
      .where(inState('running'))
      .executeTakeFirst()
    if (current === undefined) return false
    await query.insertInto('logs').values(rows).execute()
    return true
  })
  if (appended) context.events.publish({ type: 'request', requestId: claim.requestId })
}
