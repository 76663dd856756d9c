/** Bodies of the queue's answers, their keys in the order of the live service: programs compare and sign these bytes. */
export interface QueueUrls {
  readonly responseUrl: string
  readonly statusUrl: string
  readonly cancelUrl: string
}

export type QueueState = 'IN_QUEUE' | 'IN_PROGRESS' | 'COMPLETED'

export interface WireLogEntry {
  readonly timestamp: string
  readonly level: string
  readonly source: 'USER'
  readonly message: string
  /** fal-swift throws away a log entry, and with it the status, that has no `labels.level`. */
  readonly labels: { readonly level: string }
  /** Not fal's: how far the request is, in the entries that tell of a step. */
  readonly progress?: { readonly done: number; readonly total: number }
}

export interface QueueStatusFields {
  readonly state: QueueState
  readonly requestId: string
  readonly urls: QueueUrls
  /** `null` when logs were not asked for; clients that asked iterate over them and need an array. */
  readonly logs: readonly WireLogEntry[] | null
  readonly queuePosition?: number
  readonly inferenceSeconds?: number
  /** Only what the gateway failed has these: a model's own error shows in the result alone. */
  readonly error?: { readonly message: string; readonly type: string }
}

/** The body of submit, status and every event of the status stream. */
export function queueStatusBody(fields: QueueStatusFields): Readonly<Record<string, unknown>> {
  return {
    status: fields.state,
    request_id: fields.requestId,
    response_url: fields.urls.responseUrl,
    status_url: fields.urls.statusUrl,
    cancel_url: fields.urls.cancelUrl,
    logs: fields.logs,
    metrics: fields.inferenceSeconds === undefined ? {} : { inference_time: fields.inferenceSeconds },
    ...(fields.state === 'IN_QUEUE' ? { queue_position: fields.queuePosition ?? 0 } : {}),
    ...(fields.error === undefined ? {} : { error: fields.error.message, error_type: fields.error.type }),
  }
}

export function wireLogEntry(entry: {
  readonly timestamp: Date
  readonly level: string
  readonly message: string
  readonly progress?: { readonly done: number; readonly total: number }
}): WireLogEntry {
  return {
    timestamp: entry.timestamp.toISOString(),
    level: entry.level,
    source: 'USER',
    message: entry.message,
    labels: { level: entry.level },
    ...(entry.progress && { progress: entry.progress }),
  }
}

/** 202 until it is done, 200 then: fal's own SDK reads nothing but this status. */
export function queueStatusCode(state: QueueState): 200 | 202 {
  return state === 'COMPLETED' ? 200 : 202
}

/** Status and body of the answers to a cancel. */
export const CANCEL_ANSWERS = {
  requested: { status: 202, body: { status: 'CANCELLATION_REQUESTED' } },
  // The JS client shows `message`, which fal's own answers lack.
  already_completed: {
    status: 400,
    body: { status: 'ALREADY_COMPLETED', message: 'The request is completed already' },
  },
  not_found: { status: 404, body: { status: 'NOT_FOUND', message: 'There is no such request' } },
} as const
