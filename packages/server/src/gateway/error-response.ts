import { toErrorAnswer } from '../errors/error-answer.ts'
import { answerableError } from '../errors/errors.ts'
import { dumpsJson, stringifyJson } from '../protocol/json-text.ts'

/**
 * Any thrown value as fal's response. Bodies about an input (400, 422) come from fal's applications and are spelled
 * compactly; all others come from its gateway and are spelled as `json.dumps` does.
 */
export function errorResponse(error: unknown): Response {
  const answer = toErrorAnswer(error)
  const isInputError = answer.status === 422 || answer.status === 400
  const text = isInputError ? stringifyJson(answer.body) : dumpsJson(answer.body)
  return new Response(text, {
    status: answer.status,
    headers: { 'content-type': 'application/json', ...answer.headers },
  })
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
