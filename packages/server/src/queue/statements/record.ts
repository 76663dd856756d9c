import type { QueueContext } from '../context.ts'
import type { AnsweredRun } from '../request-queue.ts'
import { outcomeColumns, submissionColumns } from '../rows.ts'
import { retention } from './finish.ts'

/** Keeps a synchronously answered request for the listings. */
export async function record(context: QueueContext, run: AnsweredRun): Promise<void> {
  const completedAt = run.completedAt.getTime()
  await context.database.atomically('relaxed', async (query) => {
    await query
      .insertInto('payloads')
      .values({ request_id: run.requestId, input: run.input, output: run.outcome.body })
      .execute()
    await query
      .insertInto('requests')
      .values({
        ...submissionColumns(run),
        ...outcomeColumns(run.outcome),
        kind: 'run',
        state: 'completed',
        attempt: 1,
        accepted_at: run.acceptedAt.getTime(),
        started_at: run.startedAt?.getTime() ?? null,
        completed_at: completedAt,
        expires_at: completedAt + retention(context, run.storeIo),
      })
      .execute()
  })
}
