import { REQUEST_ERROR_STATUS, type RequestErrorType } from '../errors/errors.ts'
import type { Outcome } from './request-queue.ts'

/** The outcome of a request that the queue, not the model, ended: fal's body and headers of a request error; `message` is what its JS client shows. */
function failureOutcome(
  type: RequestErrorType,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): Outcome {
  return {
    status: REQUEST_ERROR_STATUS[type],
    body: JSON.stringify({ detail, error_type: type, message: detail }),
    headers: { 'x-fal-error-type': type, ...headers },
    error: { message: detail, type },
  }
}

/** Cancelled while it waited, or by a handler that honoured the cancellation. */
export const CANCELLED: Outcome = failureOutcome('client_cancelled', 'Request was cancelled')

export const START_TIMEOUT: Outcome = failureOutcome(
  'request_timeout',
  'Request was not processed within the start timeout that was asked for',
  { 'x-fal-request-timeout-type': 'user' },
)

export function runTimeout(milliseconds: number): Outcome {
  return failureOutcome('request_timeout', `Request ran longer than the ${milliseconds / 1000} seconds it may take`)
}

/** One attempt was lost and the submitter asked for no retry. */
export const RUNNER_LOST: Outcome = failureOutcome(
  'runner_disconnected',
  'Runner disconnected while it worked on the request',
)

/** A request that takes its runner down every time must end, not loop. */
export function poisoned(losses: number): Outcome {
  return failureOutcome(
    'runner_disconnected',
    `Runner disconnected ${losses} times while it worked on the request; the request will not be tried again`,
  )
}
