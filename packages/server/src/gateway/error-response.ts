import { toErrorAnswer } from '../errors/error-answer.ts'
import { answerableError } from '../errors/errors.ts'
import { dumpsJson, stringifyJson } from '../protocol/json-text.ts'

/** An error as it is written to a client. */
interface ErrorText {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/**
 * Any thrown value as fal answers it. Bodies about an input (400, 422) come from fal's applications and are spelled
 * compactly; all others come from its gateway and are spelled as `json.dumps` does.
 */
function errorText(error: unknown): ErrorText {
  const { status, headers, body } = toErrorAnswer(error)
  const isInputError = status === 422 || status === 400
  const text = isInputError ? stringifyJson(body) : dumpsJson(body)
  return { status, headers: { 'content-type': 'application/json', ...headers }, text }
}

export function errorResponse(error: unknown): Response {
  const { status, headers, text } = errorText(error)
  return new Response(text, { status, headers })
}

/** An error on a connection that has no response object, which ends with it. */
export function rawErrorResponse(error: unknown): string {
  const { status, headers, text } = errorText(error)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return (
    `HTTP/1.1 ${status} Refused\r\n${lines.join('')}connection: close\r\n` +
    `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  )
}

/** Errors of the Platform API (`/v1`) have a shape of their own. */
export function platformErrorResponse(thrown: unknown): Response {
  const error = answerableError(thrown)
  const status = error?.status ?? 500
  const message = error?.message ?? 'Internal server error'
  return new Response(stringifyJson({ error: { type: platformErrorType(status), message } }), {
    status,
    headers: { 'content-type': 'application/json', ...error?.headers },
  })
}

function platformErrorType(status: number): string {
  if (status === 401 || status === 403) return 'authorization_error'
  if (status === 404) return 'not_found'
  if (status === 429) return 'rate_limited'
  if (status === 501) return 'not_implemented'
  return status < 500 ? 'validation_error' : 'server_error'
}
