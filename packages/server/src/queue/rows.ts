import type { Selectable } from 'kysely'
import type { RequestsTable } from '../db/tables.ts'
import type { Outcome, RequestStatus, Submission } from './request-queue.ts'

type RequestRow = Selectable<RequestsTable>

export function priorityOf(submission: Pick<Submission, 'priority'>): number {
  return submission.priority === 'normal' ? 0 : 1
}

/** The columns that say what was submitted. */
export function submissionColumns(submission: Submission) {
  const { runTimeoutSeconds } = submission
  return {
    request_id: submission.requestId,
    endpoint_id: submission.endpointId,
    priority: priorityOf(submission),
    losses: 0,
    not_before: 0,
    run_timeout_ms: runTimeoutSeconds === undefined ? null : Math.round(runTimeoutSeconds * 1000),
    cancel_requested: 0,
    retry: submission.retry ? 1 : 0,
    store_io: submission.storeIo ? 1 : 0,
    key_id: submission.keyId ?? null,
    account: submission.account,
    files_url: submission.filesUrl,
    webhook_url: submission.webhookUrl ?? null,
    webhook_host: hostOf(submission.webhookUrl),
    runner_hint: submission.runnerHint ?? null,
    object_lifecycle: submission.objectLifecycle ?? null,
  } as const
}

/** The columns that say how it ended. */
export function outcomeColumns(outcome: Outcome) {
  return {
    status: outcome.status,
    headers: JSON.stringify(outcome.headers),
    error_message: outcome.error?.message ?? null,
    error_type: outcome.error?.type ?? null,
    inference_seconds: outcome.inferenceSeconds ?? null,
  }
}

/** The submission's fields but for the input, which lies in another table. */
export function toSubmission(row: RequestRow): Omit<Submission, 'input'> {
  return {
    requestId: row.request_id,
    endpointId: row.endpoint_id,
    priority: row.priority === 0 ? 'normal' : 'low',
    filesUrl: row.files_url,
    retry: row.retry === 1,
    storeIo: row.store_io === 1,
    account: row.account,
    ...(row.key_id !== null && { keyId: row.key_id }),
    ...(row.start_deadline !== null && { startTimeoutSeconds: (row.start_deadline - row.accepted_at) / 1000 }),
    ...(row.run_timeout_ms !== null && { runTimeoutSeconds: row.run_timeout_ms / 1000 }),
    ...(row.webhook_url !== null && { webhookUrl: row.webhook_url }),
    ...(row.runner_hint !== null && { runnerHint: row.runner_hint }),
    ...(row.object_lifecycle !== null && { objectLifecycle: row.object_lifecycle }),
  }
}

export function toStatus(row: RequestRow): RequestStatus {
  const outcome = toOutcome(row)
  return {
    ...toSubmission(row),
    state: row.state,
    attempt: row.attempt,
    acceptedAt: new Date(row.accepted_at),
    cancelRequested: row.cancel_requested === 1,
    ...(row.started_at !== null && { startedAt: new Date(row.started_at) }),
    ...(row.completed_at !== null && { completedAt: new Date(row.completed_at) }),
    ...(outcome !== undefined && { outcome }),
  }
}

function toOutcome(row: RequestRow): Omit<Outcome, 'body'> | undefined {
  if (row.status === null) return undefined
  return {
    status: row.status,
    headers: JSON.parse(row.headers ?? '{}'),
    ...(row.error_message !== null &&
      row.error_type !== null && { error: { message: row.error_message, type: row.error_type } }),
    ...(row.inference_seconds !== null && { inferenceSeconds: row.inference_seconds }),
  }
}

function hostOf(url: string | undefined): string | null {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : null
}
