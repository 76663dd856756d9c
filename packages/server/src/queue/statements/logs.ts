import type { QueueContext } from '../context.ts'
import { LOG_LEVELS, type LogEntry, type LogLevel } from '../request-queue.ts'

/** Every entry counts as one row, so an index is an offset; a request logs tens of lines, seldom more. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER

export function logs(context: QueueContext, requestId: string, from: number): Promise<LogEntry[]> {
  return context.database.read(async (query) => {
    const rows = await query
      .selectFrom('logs')
      .select(['logged_at', 'level', 'message', 'done', 'total'])
      .where('request_id', '=', requestId)
      .orderBy('id')
      .limit(NO_LIMIT) // SQLite takes an offset only after a limit.
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
