import { answerableError, type FieldErrorItem } from './errors.ts'

/** An error as it goes out: HTTP status, headers and a body to be written as JSON. */
export interface ErrorAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

const MESSAGE_LENGTH = 500

/**
 * Any thrown value as fal answers it. A `WireError` says for itself what goes out, an outage is 503; everything else is
 * a defect and says no more than `Internal Server Error`.
 *
 * `message` is ours: the JS client shows `body.message` and, without it, only the status text. The other clients ignore it.
 */
export function toErrorAnswer(thrown: unknown): ErrorAnswer {
  const error = answerableError(thrown)
  if (error === undefined) {
    return { status: 500, headers: {}, body: { detail: 'Internal Server Error', message: 'Internal Server Error' } }
  }
  const { detail, errorType, hint } = error
  const message = typeof detail === 'string' ? detail : summariseItems(detail)
  return {
    status: error.status,
    headers: {
      ...(errorType === undefined ? {} : { 'x-fal-error-type': errorType }),
      // A refused input is not billed, and fal says so.
      ...(typeof detail === 'string' ? {} : { 'x-fal-billable-units': '0' }),
      ...error.headers,
    },
    body: {
      detail,
      ...(errorType === undefined ? {} : { error_type: errorType }),
      message: hint === undefined ? message : `${message}. ${hint}`,
    },
  }
}

/** One readable line for the items of a 422: `image_size.width: ensure this value is greater than 0`. */
function summariseItems(items: readonly FieldErrorItem[]): string {
  const text = items
    .map((item) => {
      const field = item.loc.slice(1).join('.')
      return field === '' ? item.msg : `${field}: ${item.msg}`
    })
    .join('; ')
  return text.length > MESSAGE_LENGTH ? `${text.slice(0, MESSAGE_LENGTH)}…` : text
}
