import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { dumpsJson } from '../../protocol/json-text.ts'
import { CANCEL_ANSWERS, queueStatusCode } from '../../protocol/queue-status.ts'
import { isRequestId } from '../../protocol/request-id.ts'
import { isTrue } from '../../protocol/request-options.ts'
import { LOGS_AT_ONCE, type LogEntry } from '../../queue/request-queue.ts'
import { requireKeyOrToken } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { storedBody } from '../stored-body.ts'
import { SURFACE_PREFIX } from '../surface.ts'
import { visibleRequest } from '../visible-requests.ts'
import { submit } from './queue-submit.ts'
import { parseQueuePath } from './queue-urls.ts'
import { describeRequest } from './request-status.ts'
import { streamStatus } from './status-stream.ts'

/** `POST /{id}`, and status, status stream, result and cancel of a request. Any path may end in a slash. */
export function queueRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  routes.use('/*', requireKeyOrToken(dependencies, SURFACE_PREFIX.queue))
  routes.on(['GET', 'POST', 'PUT'], '/*', (c) => {
    const path = parseQueuePath(c.req.path.slice(SURFACE_PREFIX.queue.length))
    const { method } = c.req
    if (path.kind === 'endpoint') return method === 'POST' ? submit(dependencies, c, path.id) : methodNotAllowed()
    if (method === 'GET') return readRequest(dependencies, c, path.requestId, path.action)
    return path.action === 'cancel' ? cancel(dependencies, c, path.requestId) : methodNotAllowed()
  })
  return routes
}

function methodNotAllowed(): never {
  throw new WireError(405, 'Method Not Allowed')
}

async function readRequest(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  requestId: string,
  action: string,
): Promise<Response> {
  if (!isRequestId(requestId)) throw unknownRequest(requestId)
  c.set('requestId', requestId)
  switch (action) {
    case '':
    case 'response':
      return resultResponse(dependencies, c, requestId)
    case 'status':
      return statusResponse(dependencies, c, requestId)
    case 'status/stream':
      if ((await visibleRequest(dependencies, c, requestId)) === undefined) throw unknownRequest(requestId)
      return streamStatus(dependencies, c, requestId)
    default:
      throw new WireError(404, 'Not Found')
  }
}

function unknownRequest(requestId: string): WireError {
  return new WireError(404, `Request ${requestId.slice(0, 100)} not found`)
}

async function statusResponse(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  requestId: string,
): Promise<Response> {
  const { queue, config } = dependencies
  const request = await visibleRequest(dependencies, c, requestId)
  if (request === undefined) throw unknownRequest(requestId)
  const urls = publicUrlsOf(c.req, config.publicUrl)
  const logs = isTrue(c.req.query('logs')) ? await allLogs(queue, requestId) : undefined
  const { state, body } = await describeRequest(queue, request, urls.queue, logs)
  return new Response(dumpsJson(body), {
    status: queueStatusCode(state),
    headers: { 'content-type': 'application/json; charset=utf-8' },
  })
}

/** Entries that a status answers; a request of hundreds of steps has fewer. */
const MOST_LOGS = 5 * LOGS_AT_ONCE

async function allLogs(queue: GatewayDependencies['queue'], requestId: string): Promise<readonly LogEntry[]> {
  const logs: LogEntry[] = []
  for (let more = true; more && logs.length < MOST_LOGS; ) {
    const next = await queue.logs(requestId, logs.length)
    logs.push(...next)
    more = next.length === LOGS_AT_ONCE
  }
  return logs
}

/** What the handler answered, its own status included. */
async function resultResponse(
  dependencies: GatewayDependencies,
  c: GatewayContext,
  requestId: string,
): Promise<Response> {
  const visible = await visibleRequest(dependencies, c, requestId)
  if (visible === undefined) throw unknownRequest(requestId)
  const { outcome } = visible
  if (outcome === undefined) throw new WireError(400, 'Request is still in progress')
  const body = (await dependencies.queue.payloads(requestId))?.output
  if (body === undefined) throw new WireError(410, 'The result of this request was erased')
  return new Response(await storedBody(dependencies, c, body), {
    status: outcome.status,
    headers: { 'content-type': 'application/json', 'content-length': String(body.bytes), ...outcome.headers },
  })
}

async function cancel(dependencies: GatewayDependencies, c: GatewayContext, requestId: string): Promise<Response> {
  const isVisible = isRequestId(requestId) && (await visibleRequest(dependencies, c, requestId)) !== undefined
  const answer = CANCEL_ANSWERS[isVisible ? await dependencies.queue.cancel(requestId) : 'not_found']
  if (answer.status !== 404) c.set('requestId', requestId)
  return new Response(dumpsJson(answer.body), {
    status: answer.status,
    headers: { 'content-type': 'application/json; charset=utf-8' },
  })
}
