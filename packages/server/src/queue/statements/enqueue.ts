import { sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import { requestError } from '../../errors/errors.ts'
import type { QueueContext } from '../context.ts'
import type { Submission } from '../request-queue.ts'
import { priorityOf, submissionColumns } from '../rows.ts'
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
  const { startTimeoutSeconds } = submission
  return query
    .insertInto('requests')
    .values({
      ...submissionColumns(submission),
      kind: 'queue',
      state: 'queued',
      attempt: 0,
      accepted_at: now,
      start_deadline:
        startTimeoutSeconds === undefined ? null : sql`${now} + ${Math.round(startTimeoutSeconds * 1000)}`,
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
