import type { QueueContext } from './context.ts'

/**
 * Tells everyone, after the commit, that a request changed. Whoever delivers webhooks is told where the request has one, whether or
 * not the change ended it: they look into the outbox, and a needless look costs a millisecond.
 */
export function announceChange(
  { events }: Pick<QueueContext, 'events'>,
  request: { readonly request_id: string; readonly webhook_url: string | null },
): void {
  events.publish({ type: 'request', requestId: request.request_id })
  if (request.webhook_url !== null) events.publish({ type: 'webhook' })
}
