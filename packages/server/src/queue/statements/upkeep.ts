import { type Selectable, sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import type { RequestsTable } from '../../db/tables.ts'
import { announceChange } from '../announce.ts'
import type { QueueContext } from '../context.ts'
import { runTimeout, START_TIMEOUT } from '../outcomes.ts'
import { finish } from './finish.ts'
import { loseAttempt } from './give-back.ts'
import { dropPieces } from './payloads.ts'

/** Requests handled in one unit of work: its row locks and SQLite's write lock are held for a moment only. */
const REAP_BATCH = 100

type ReapedRow = Pick<Selectable<RequestsTable>, 'request_id' | 'webhook_url'>

/**
 * Ends what ran or waited too long, and returns the requests of lost runners to the queue.
 * @param leasesHold asked when the database has answered: whether nobody could renew a lease, so that one that is over
 *   proves nothing
 */
export async function reap(context: QueueContext, leasesHold: () => boolean): Promise<void> {
  await pullBackFuture(context)
  const held = leasesHold()
  while ((await batch(context, (query) => endRunning(context, query, held))) === REAP_BATCH);
  while ((await batch(context, (query) => endUnstarted(context, query))) === REAP_BATCH);
}

async function batch(context: QueueContext, work: (query: Query) => Promise<ReapedRow[]>): Promise<number> {
  const rows = await context.database.atomically('synced', work)
  for (const row of rows) announceChange(context, row)
  return rows.length
}

/** After the clock was set back, leases and back-offs would last as much longer: they are cut to their length. */
async function pullBackFuture(context: QueueContext): Promise<void> {
  const lease = sql<number>`${context.now()} + ${context.options.leaseSeconds * 1000}`
  const backoff = sql<number>`${context.now()} + ${context.options.maxBackoffSeconds * 1000}`
  const { running, waiting } = await context.database.read(async (query) => ({
    running: await query
      .selectFrom('requests')
      .select('seq')
      .where('state', '=', sql.lit('running'))
      .where('lease_until', '>', lease)
      .executeTakeFirst(),
    waiting: await query
      .selectFrom('requests')
      .select('seq')
      .where('state', '=', sql.lit('queued'))
      .where('not_before', '>', sql.lit(0))
      .where('not_before', '>', backoff)
      .executeTakeFirst(),
  }))
  if (running === undefined && waiting === undefined) return
  await context.database.atomically('relaxed', async (query) => {
    await query
      .updateTable('requests')
      .set({ lease_until: lease })
      .where('state', '=', sql.lit('running'))
      .where('lease_until', '>', lease)
      .execute()
    await query
      .updateTable('requests')
      .set({ not_before: backoff })
      .where('state', '=', sql.lit('queued'))
      .where('not_before', '>', sql.lit(0))
      .where('not_before', '>', backoff)
      .execute()
  })
}

async function endRunning(context: QueueContext, query: Query, leasesHold: boolean): Promise<ReapedRow[]> {
  const now = context.now()
  const rows = await query
    .selectFrom('requests')
    .select(['request_id', 'attempt', 'losses', 'retry', 'cancel_requested', 'run_timeout_ms', 'webhook_url'])
    .select(sql<number>`case when run_deadline <= ${now} then 1 else 0 end`.as('overran'))
    .where('state', '=', sql.lit('running'))
    .where((eb) =>
      leasesHold ? eb('run_deadline', '<=', now) : eb.or([eb('lease_until', '<=', now), eb('run_deadline', '<=', now)]),
    )
    .limit(REAP_BATCH)
    .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate().skipLocked())
    .execute()
  for (const row of rows) {
    const expected = { requestId: row.request_id, state: 'running', attempt: row.attempt } as const
    if (row.overran === 1) await finish(context, query, expected, runTimeout(row.run_timeout_ms ?? 0))
    else await loseAttempt(context, query, row)
  }
  return rows
}

async function endUnstarted(context: QueueContext, query: Query): Promise<ReapedRow[]> {
  const rows = await query
    .selectFrom('requests')
    .select(['request_id', 'webhook_url'])
    .where('state', '=', sql.lit('queued'))
    .where('start_deadline', '<=', context.now())
    .limit(REAP_BATCH)
    .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate().skipLocked())
    .execute()
  for (const row of rows) await finish(context, query, { requestId: row.request_id, state: 'queued' }, START_TIMEOUT)
  return rows
}

/** Requests erased in one unit of work: its locks are held for a moment only. */
const SWEEP_BATCH = 100

/** A runner that was not heard of for so long has been replaced, not lost. */
const RUNNER_MEMORY_SECONDS = 3600

/** Erases requests whose retention is over and whose webhook is, with their payloads and logs; and runners long gone. */
export async function sweep(context: QueueContext): Promise<void> {
  while ((await context.database.atomically('relaxed', (query) => eraseBatch(context, query))) === SWEEP_BATCH);
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
    // Its delivery asks whose the request is, and would be left behind.
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('webhook_deliveries')
            .select('id')
            .whereRef('webhook_deliveries.request_id', '=', 'requests.request_id')
            .where('webhook_deliveries.state', '=', sql.lit('pending')),
        ),
      ),
    )
    .limit(SWEEP_BATCH)
    .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate().skipLocked())
    .execute()
  if (rows.length === 0) return 0
  const ids = rows.map((row) => row.request_id)
  await query.deleteFrom('logs').where('request_id', 'in', ids).execute()
  await dropPieces(query, ids)
  await query.deleteFrom('payloads').where('request_id', 'in', ids).execute()
  await query.deleteFrom('webhook_deliveries').where('request_id', 'in', ids).execute()
  await query.deleteFrom('requests').where('request_id', 'in', ids).execute()
  return rows.length
}
