import type { QueueContext } from '../context.ts'
import type { AnsweredRun } from '../request-queue.ts'
import { outcomeColumns, submissionColumns } from '../rows.ts'
import { retention } from './finish.ts'

/** Keeps synchronously answered requests for the listings: all of them or none. */
export async function record(context: QueueContext, runs: readonly AnsweredRun[]): Promise<void> {
  const payloads = runs.map((run) => ({ request_id: run.requestId, input: run.input, output: run.outcome.body }))
  const requests = runs.map((run) => requestRow(context, run))
  await context.database.atomically('relaxed', async (query) => {
    await query.insertInto('payloads').values(payloads).execute()
    await query.insertInto('requests').values(requests).execute()
  })
}

function requestRow(context: QueueContext, run: AnsweredRun) {
  const completedAt = run.completedAt.getTime()
  return {
    ...submissionColumns(run),
    ...outcomeColumns(run.outcome),
    kind: 'run',
    state: 'completed',
    attempt: 1,
    accepted_at: run.acceptedAt.getTime(),
    started_at: run.startedAt?.getTime() ?? null,
    completed_at: completedAt,
    expires_at: completedAt + retention(context, run.storeIo),
  } as const
}
