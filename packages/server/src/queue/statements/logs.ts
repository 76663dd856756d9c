import { inState } from '../../db/in-state.ts'
import type { QueueContext } from '../context.ts'
import { type ClaimToken, LOG_LEVELS, LOGS_AT_ONCE, type LogEntry, type LogLevel } from '../request-queue.ts'

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
    message: entry.message.slice(0, LONGEST_MESSAGE).replaceAll('\0', '\uFFFD'),
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

/** What may be said in one entry. */
const LONGEST_MESSAGE = 4000

export function logs(context: QueueContext, requestId: string, from: number): Promise<LogEntry[]> {
  return context.database.read(async (query) => {
    const rows = await query
      .selectFrom('logs')
      .select(['logged_at', 'level', 'message', 'done', 'total'])
      .where('request_id', '=', requestId)
      .orderBy('id')
      .limit(LOGS_AT_ONCE)
      .offset(from)
      .execute()
    return rows.map((row) => ({
      timestamp: new Date(row.logged_at),
      level: levelOf(row.level),
      message: row.message,
      ...(row.done !== null && row.total !== null && { progress: { done: row.done, total: row.total } }),
    }))
  })
}

function levelOf(text: string): LogLevel {
  return LOG_LEVELS.find((level) => level === text) ?? 'INFO'
}
