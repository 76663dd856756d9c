import type { Outcome } from './request-queue.ts'

/**
 * The body of a request's webhook (JSON text), in the shape fal sends. The outcome's body goes in as it is, so
 * that numbers keep every digit (seeds reach beyond 2^53).
 */
export function webhookPayload(requestId: string, outcome: Outcome): string {
  const { before, after } = aroundPayload(requestId, outcome)
  return before + outcome.body + after
}

/** The body of a request's webhook but for the outcome's body: what stands before it and after it. */
export function aroundPayload(requestId: string, outcome: Pick<Outcome, 'status'>): { before: string; after: string } {
  const ok = outcome.status >= 200 && outcome.status < 300
  const id = JSON.stringify(requestId)
  const error = ok ? 'null' : JSON.stringify(`Unexpected status code: ${outcome.status}`)
  return {
    before: `{"request_id":${id},"gateway_request_id":${id},"status":${ok ? '"OK"' : '"ERROR"'},"payload":`,
    after: `,"error":${error}}`,
  }
}
