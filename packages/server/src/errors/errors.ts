/** Those of fal's request (gateway) error types that are sent here, in `error_type` and the header `X-Fal-Error-Type`. */
export type RequestErrorType =
  | 'request_timeout'
  | 'runner_scheduling_failure'
  | 'runner_disconnected'
  | 'runner_incomplete_response'
  | 'client_disconnected'
  | 'client_cancelled'
  | 'bad_request'
  | 'concurrent_requests_limit'

/** HTTP status of each request error type. */
export const REQUEST_ERROR_STATUS: Readonly<Record<RequestErrorType, number>> = {
  request_timeout: 504,
  runner_scheduling_failure: 503,
  runner_disconnected: 503,
  runner_incomplete_response: 502,
  client_disconnected: 499,
  client_cancelled: 499,
  bad_request: 400,
  concurrent_requests_limit: 429,
}

/** One entry of a 422 body's `detail` list. */
export interface FieldErrorItem {
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly type: string
  readonly ctx?: Readonly<Record<string, unknown>>
  readonly url?: string
  readonly input?: unknown
}

/**
 * An error that has an answer on the wire: everything else is a defect and is answered with 500.
 * `detail` is the body's `detail`: a sentence, or the list of field errors of a 422.
 */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly status: number
  readonly detail: string | readonly FieldErrorItem[]
  readonly errorType: RequestErrorType | undefined
  readonly headers: Readonly<Record<string, string>>
  /** A sentence on what to do, for the answer's `message` alone: `detail` is fal's own words. */
  readonly hint: string | undefined

  constructor(
    status: number,
    detail: string | readonly FieldErrorItem[],
    options: {
      readonly errorType?: RequestErrorType
      readonly headers?: Readonly<Record<string, string>>
      readonly hint?: string | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(typeof detail === 'string' ? detail : detail.map((item) => `${item.loc.join('.')}: ${item.msg}`).join('; '), {
      cause: options.cause,
    })
    this.status = status
    this.detail = detail
    this.errorType = options.errorType
    this.headers = options.headers ?? {}
    this.hint = options.hint
  }
}

/** A request error by its type; the status follows from the type. */
export function requestError(type: RequestErrorType, detail: string, cause?: unknown): WireError {
  return new WireError(REQUEST_ERROR_STATUS[type], detail, { errorType: type, cause })
}

/** A 422 for one input field, in the dialect of model errors. */
export function fieldError(
  field: string | readonly (string | number)[],
  type: string,
  msg: string,
  extra: Pick<FieldErrorItem, 'ctx' | 'input' | 'url'> = {},
): WireError {
  const loc = ['body', ...(typeof field === 'string' ? [field] : field)]
  return new WireError(422, [{ loc, msg, type, ...extra }])
}

/** Where fal describes a type of its model errors. */
export function errorPage(type: string): string {
  return `https://docs.fal.ai/errors#${type}`
}

/**
 * An error of a store that is full, read-only or away: neither the caller's fault nor a defect. Answered with 503, so
 * that clients try again, and by the runner with another attempt.
 */
export interface Outage extends Error {
  /** What a client may know of it, a sentence; the message is for the log. Absent: no outage. */
  readonly outage: string | undefined
}

/** The error that may be told to a client: a `WireError` as it is, an outage as its answer; `undefined` for a defect. */
export function answerableError(error: unknown): WireError | undefined {
  if (error instanceof WireError) return error
  if (!(error instanceof Error && 'outage' in error && typeof error.outage === 'string')) return undefined
  return new WireError(503, error.outage, { headers: { 'retry-after': String(OUTAGE_RETRY_SECONDS) }, cause: error })
}

const OUTAGE_RETRY_SECONDS = 5
