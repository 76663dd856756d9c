import { type QueueState, queueStatusBody, wireLogEntry } from '../../protocol/queue-status.ts'
import type { LogEntry, RequestQueue, RequestRecord, RequestState } from '../../queue/request-queue.ts'
import { queueUrls } from './queue-urls.ts'

const STATES: Readonly<Record<RequestState, QueueState>> = {
  queued: 'IN_QUEUE',
  running: 'IN_PROGRESS',
  completed: 'COMPLETED',
}

export interface RequestStatus {
  readonly state: QueueState
  readonly body: Readonly<Record<string, unknown>>
}

/** The status body of a request. @param logs the entries to show; `undefined` when they were not asked for */
export async function describeRequest(
  queue: Pick<RequestQueue, 'position'>,
  record: RequestRecord,
  queueBase: string,
  logs: readonly LogEntry[] | undefined,
): Promise<RequestStatus> {
  const state = STATES[record.state]
  const { outcome } = record
  const body = queueStatusBody({
    state,
    requestId: record.requestId,
    urls: queueUrls(queueBase, record.endpointId, record.requestId),
    logs: logs === undefined ? null : logs.map(wireLogEntry),
    ...(state === 'IN_QUEUE' ? { queuePosition: await queue.position(record.requestId) } : {}),
    ...(outcome?.inferenceSeconds === undefined ? {} : { inferenceSeconds: outcome.inferenceSeconds }),
    ...(outcome?.error === undefined ? {} : { error: outcome.error }),
  })
  return { state, body }
}
