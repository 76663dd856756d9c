import { sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import type { QueueContext } from '../context.ts'

/** Requests erased in one unit of work: its locks are held for a moment only. */
const BATCH = 200

/** A runner that was not heard of for so long has been replaced, not lost. */
const RUNNER_MEMORY_SECONDS = 3600

/** Erases requests whose retention is over, with their payloads, logs and finished webhooks; and runners long gone. */
export async function sweep(context: QueueContext): Promise<void> {
  while ((await context.database.atomically('relaxed', (query) => eraseBatch(context, query))) === BATCH);
  const forgotten = sql<number>`${context.now()} - ${RUNNER_MEMORY_SECONDS * 1000}`
  await context.database.execute('relaxed', (query) =>
    query.deleteFrom('runners').where('heard_at', '<', forgotten).execute(),
  )
}

async function eraseBatch(context: QueueContext, query: Query): Promise<number> {
  const rows = await query
    .selectFrom('requests')
    .select('request_id')
    .where('state', '=', sql.lit('completed'))
    .where('expires_at', '<=', context.now())
    .limit(BATCH)
    .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate().skipLocked())
    .execute()
  if (rows.length === 0) return 0
  const ids = rows.map((row) => row.request_id)
  await query.deleteFrom('logs').where('request_id', 'in', ids).execute()
  await query.deleteFrom('payloads').where('request_id', 'in', ids).execute()
  await query.deleteFrom('webhook_deliveries').where('request_id', 'in', ids).where('state', '!=', 'pending').execute()
  await query.deleteFrom('requests').where('request_id', 'in', ids).execute()
  return rows.length
}
