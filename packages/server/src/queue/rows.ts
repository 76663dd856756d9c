import type { Selectable } from 'kysely'
import type { PayloadsTable, RequestsTable } from '../db/schema.ts'
import type { Outcome, RequestRecord, RequestStatus, Submission } from './request-queue.ts'

type RequestRow = Selectable<RequestsTable>
type PayloadRow = Pick<Selectable<PayloadsTable>, 'input' | 'output'>

/** The submission's fields but for the input, which lies in another table. */
export function toSubmission(row: RequestRow): Omit<Submission, 'input'> {
  return {
    requestId: row.request_id,
    endpointId: row.endpoint_id,
    priority: row.priority === 0 ? 'normal' : 'low',
    filesUrl: row.files_url,
    retry: row.retry === 1,
    storeIo: row.store_io === 1,
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

export function toRecord(row: RequestRow & PayloadRow): RequestRecord {
  const { outcome, ...status } = toStatus(row)
  return {
    ...status,
    input: row.input,
    ...(outcome !== undefined && { outcome: { ...outcome, body: row.output ?? 'null' } }),
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
