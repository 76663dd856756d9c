import { type QueueState, queueStatusBody, wireLogEntry } from '../../protocol/queue-status.ts'
import type { LogEntry, RequestQueue, RequestState, RequestStatus } from '../../queue/request-queue.ts'
import { queueUrls } from './queue-urls.ts'

const STATES: Readonly<Record<RequestState, QueueState>> = {
  queued: 'IN_QUEUE',
  running: 'IN_PROGRESS',
  completed: 'COMPLETED',
}

/** A status answer. */
export interface StatusAnswer {
  readonly state: QueueState
  readonly body: Readonly<Record<string, unknown>>
}

/** The status body of a request. @param logs the entries to show; `undefined` when they were not asked for */
export async function describeRequest(
  queue: Pick<RequestQueue, 'position'>,
  request: RequestStatus,
  queueBase: string,
  logs: readonly LogEntry[] | undefined,
): Promise<StatusAnswer> {
  const state = STATES[request.state]
  const { outcome } = request
  const body = queueStatusBody({
    state,
    requestId: request.requestId,
    urls: queueUrls(queueBase, request.endpointId, request.requestId),
    logs: logs === undefined ? null : logs.map(wireLogEntry),
    ...(state === 'IN_QUEUE' ? { queuePosition: await queue.position(request.requestId) } : {}),
    ...(outcome?.inferenceSeconds === undefined ? {} : { inferenceSeconds: outcome.inferenceSeconds }),
    ...(outcome?.error === undefined ? {} : { error: outcome.error }),
  })
  return { state, body }
}
