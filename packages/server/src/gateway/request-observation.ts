import type { MiddlewareHandler } from 'hono'
import { REQUEST_ID } from '../protocol/headers.ts'
import { createRequestId } from '../protocol/request-id.ts'
import type { GatewayDependencies, GatewayEnv } from './dependencies.ts'

/** Gives every request an id, sends it back, counts and logs the request. */
export function observeRequests({
  metrics,
  log,
}: Pick<GatewayDependencies, 'metrics' | 'log'>): MiddlewareHandler<GatewayEnv> {
  return async function observationMiddleware(c, next) {
    c.set('requestId', createRequestId())
    const startedAt = performance.now()
    await next()
    const seconds = (performance.now() - startedAt) / 1000
    const { method, path } = c.req
    // A route may have set another.
    const requestId = c.get('requestId')
    const surface = surfaceLabel(path)
    metrics.httpRequests.inc({ surface, method, status: String(c.res.status) })
    metrics.httpSeconds.observe({ surface, method }, seconds)
    log.debug({ method, path, status: c.res.status, requestId, seconds }, 'request answered')
    // An upgraded socket has no response to write to.
    if (c.req.header('upgrade') === undefined && !c.res.headers.has(REQUEST_ID)) {
      c.res.headers.set(REQUEST_ID, requestId)
    }
  }
}

const LABELS: ReadonlySet<string> = new Set(['run', 'queue', 'rest', 'cdn', 'v1', 'api', 'health', 'ready', 'metrics'])

/** First segment of the path, unless a caller made it up: labels must stay few. */
function surfaceLabel(path: string): string {
  const segment = path.split('/', 2)[1] ?? ''
  return LABELS.has(segment) ? segment : 'other'
}
