import type { Outcome } from './request-queue.ts'

/**
 * The body of a request's webhook (JSON text), in the shape fal sends. The outcome's body goes in as it is, so
 * that numbers keep every digit (seeds reach beyond 2^53).
 */
export function webhookPayload(requestId: string, outcome: Outcome): string {
  const ok = outcome.status >= 200 && outcome.status < 300
  const fields = [
    ['request_id', JSON.stringify(requestId)],
    ['gateway_request_id', JSON.stringify(requestId)],
    ['status', ok ? '"OK"' : '"ERROR"'],
    ['payload', outcome.body],
    ['error', ok ? 'null' : JSON.stringify(`Unexpected status code: ${outcome.status}`)],
  ]
  return `{${fields.map(([name, json]) => `"${name}":${json}`).join(',')}}`
}
