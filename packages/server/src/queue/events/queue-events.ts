import type { Unsubscribe } from '../request-queue.ts'

/**
 * `work`: a request of the endpoint may be claimable.
 * `request`: the state, logs or cancel flag of a request changed.
 * `webhook`: a request with a webhook may have ended.
 */
export type QueueEvent =
  | { readonly type: 'work'; readonly endpointId: string }
  | { readonly type: 'request'; readonly requestId: string }
  | { readonly type: 'webhook' }

/**
 * Tells every process that shares the queue what happened, so that nobody polls for it. Delivery is best effort: the
 * queue's slow safety poll makes up for what a crash or a broken connection swallowed.
 */
export interface QueueEvents {
  publish(event: QueueEvent): void
  /** Runs `listener` for events published anywhere, this process included. */
  subscribe(listener: (event: QueueEvent) => void): Unsubscribe
  close(): Promise<void>
}
