import { applicationOf, parseEndpointId } from '../../protocol/endpoint-id.ts'
import type { QueueUrls } from '../../protocol/queue-status.ts'

/** The URLs of a request: owner and alias only, the sub-path dropped, as the live service and both clients build them. */
export function queueUrls(queueBase: string, endpointId: string, requestId: string): QueueUrls {
  const parsed = parseEndpointId(endpointId)
  const application = parsed === undefined ? endpointId : applicationOf(parsed)
  const responseUrl = `${queueBase}/${application}/requests/${requestId}`
  return { responseUrl, statusUrl: `${responseUrl}/status`, cancelUrl: `${responseUrl}/cancel` }
}

/** A path below the queue surface, taken apart. */
export type QueuePath =
  | { readonly kind: 'endpoint'; readonly id: string }
  | { readonly kind: 'request'; readonly requestId: string; readonly action: string }

const REQUEST_PATH = /^.*\/requests\/([^/]+)(?:\/(.*))?$/

/**
 * Finds the last `/requests/{id}`: what stands before it does not matter, because clients put the full id, the
 * application or a legacy id there. `action` is what follows: `''`, `status`, `status/stream`, `cancel`, `response`.
 */
export function parseQueuePath(path: string): QueuePath {
  const trimmed = path.replace(/(?<!\/)\/+$/, '')
  const match = REQUEST_PATH.exec(trimmed)
  if (match?.[1] === undefined) return { kind: 'endpoint', id: trimmed }
  return { kind: 'request', requestId: match[1], action: match[2] ?? '' }
}
