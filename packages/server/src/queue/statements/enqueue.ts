import { sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import { requestError } from '../../errors/errors.ts'
import type { QueueContext } from '../context.ts'
import type { Submission } from '../request-queue.ts'
import { countAhead } from './position.ts'

/** Stores a request at the end of its endpoint's queue; resolves with the number of requests ahead, once on disk. */
export async function enqueue(context: QueueContext, submission: Submission): Promise<number> {
  const { seq } = await context.database.atomically('synced', async (query) => {
    if (submission.maxQueueLength !== undefined) await refuseWhenFull(query, submission, submission.maxQueueLength)
    await query
      .insertInto('payloads')
      .values({ request_id: submission.requestId, input: submission.input, output: null })
      .execute()
    return insertRequest(context, query, submission)
  })
  context.events.publish({ type: 'work', endpointId: submission.endpointId })
  return context.database.read((query) => countAhead(query, submission.endpointId, priorityOf(submission), seq))
}

function insertRequest(context: QueueContext, query: Query, submission: Submission) {
  const now = context.now()
  const { startTimeoutSeconds, runTimeoutSeconds } = submission
  return query
    .insertInto('requests')
    .values({
      request_id: submission.requestId,
      endpoint_id: submission.endpointId,
      kind: 'queue',
      state: 'queued',
      priority: priorityOf(submission),
      attempt: 0,
      losses: 0,
      accepted_at: now,
      not_before: 0,
      start_deadline:
        startTimeoutSeconds === undefined ? null : sql`${now} + ${Math.round(startTimeoutSeconds * 1000)}`,
      run_timeout_ms: runTimeoutSeconds === undefined ? null : Math.round(runTimeoutSeconds * 1000),
      cancel_requested: 0,
      retry: submission.retry ? 1 : 0,
      store_io: submission.storeIo ? 1 : 0,
      key_id: submission.keyId ?? null,
      files_url: submission.filesUrl,
      webhook_url: submission.webhookUrl ?? null,
      runner_hint: submission.runnerHint ?? null,
      object_lifecycle: submission.objectLifecycle ?? null,
    })
    .returning('seq')
    .executeTakeFirstOrThrow()
}

/** Counts at most `limit` entries, so a long queue costs no more than the limit. */
async function refuseWhenFull(query: Query, submission: Submission, limit: number): Promise<void> {
  const { waiting } = await query
    .selectFrom((from) =>
      from
        .selectFrom('requests')
        .select('seq')
        .where('state', '=', sql.lit('queued'))
        .where('endpoint_id', '=', submission.endpointId)
        .limit(limit)
        .as('waiting'),
    )
    .select((eb) => eb.fn.countAll<number>().as('waiting'))
    .executeTakeFirstOrThrow()
  if (waiting < limit) return
  throw requestError(
    'concurrent_requests_limit',
    `The queue of ${submission.endpointId} holds ${waiting} requests, and this one asked for at most ${limit}`,
  )
}

export function priorityOf(submission: Pick<Submission, 'priority'>): number {
  return submission.priority === 'normal' ? 0 : 1
}
