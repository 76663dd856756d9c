import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { parseJson, toPlainValue } from '../../protocol/json-parse.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import type { RequestFilter, RequestQueue, RequestStatus } from '../../queue/request-queue.ts'
import { accountOf, requireKey } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { readLimit } from '../pagination.ts'
import { visibleRequest } from '../visible-requests.ts'

const REQUESTS_PER_PAGE = { standard: 50, most: 100 }
const ORDERS = { ended_at: 'ended', duration: 'duration' } as const

/** The Platform API's view of the account's past requests: `GET …/by-endpoint` and `DELETE …/{request_id}/payloads`. */
export function requestsRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const key = requireKey(dependencies, { missing: 'Authentication required' })
  routes.get('/v1/models/requests/by-endpoint', key, async (c) => json(c, await listRequests(dependencies, c)))
  routes.delete('/v1/models/requests/:requestId/payloads', key, async (c) => {
    const requestId = c.req.param('requestId')
    const isVisible = (await visibleRequest(dependencies, c, requestId, 'all')) !== undefined
    if (!isVisible || !(await dependencies.queue.erasePayload(requestId)))
      throw new WireError(404, 'request_id: expected the id of a finished request')
    // The request's bodies are gone; generated files have a lifetime of their own.
    return json(c, { cdn_delete_results: [] })
  })
  return routes
}

function json(c: GatewayContext, body: unknown): Response {
  return c.body(stringifyJson(body), 200, { 'content-type': 'application/json' })
}

async function listRequests({ queue, catalogue }: GatewayDependencies, c: GatewayContext) {
  const lookup = catalogue.find(c.req.query('endpoint_id') ?? '')
  if (lookup.kind !== 'found') throw new WireError(404, 'endpoint_id: expected the id of an endpoint of this server')
  const page = await queue.list({ ...readFilter(c), account: accountOf(c), endpointId: lookup.endpoint.id })
  const withPayloads = (c.req.queries('expand') ?? []).includes('payloads')
  const items = await Promise.all(page.requests.map((request) => describe(queue, request, withPayloads)))
  return { items, next_cursor: page.next ?? null, has_more: page.next !== undefined }
}

function readFilter(c: GatewayContext): Omit<RequestFilter, 'account' | 'endpointId'> {
  const requestId = c.req.query('request_id')
  const cursor = c.req.query('cursor')
  const result = readChoice('status', c.req.query('status'), ['success', 'error', 'user_error'] as const)
  const acceptedFrom = readTime('start', c.req.query('start'))
  const acceptedBefore = readTime('end', c.req.query('end'))
  const order = readChoice('sort_by', c.req.query('sort_by'), ['ended_at', 'duration'])
  return {
    limit: readLimit(c.req.query('limit'), REQUESTS_PER_PAGE),
    ...(cursor === undefined || cursor === '' ? {} : { cursor }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(result === undefined ? {} : { result }),
    ...(order === undefined ? {} : { order: ORDERS[order] }),
    ...(acceptedFrom === undefined ? {} : { acceptedFrom }),
    ...(acceptedBefore === undefined ? {} : { acceptedBefore }),
  }
}

function readChoice<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T | undefined {
  if (text === undefined) return undefined
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw new WireError(400, `${name}: expected one of ${choices.join(', ')}`)
  return choice
}

function readTime(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) throw new WireError(400, `${name}: expected an ISO 8601 date and time`)
  return time
}

async function describe(queue: Pick<RequestQueue, 'findWithPayloads'>, request: RequestStatus, withPayloads: boolean) {
  const { requestId, acceptedAt, startedAt, completedAt, outcome } = request
  const full = withPayloads ? await queue.findWithPayloads(requestId) : undefined
  return {
    request_id: requestId,
    endpoint_id: request.endpointId,
    started_at: (startedAt ?? acceptedAt).toISOString(),
    sent_at: acceptedAt.toISOString(),
    ended_at: completedAt?.toISOString() ?? null,
    status_code: outcome?.status ?? null,
    duration: secondsBetween(startedAt, completedAt),
    json_input: readPayload(full?.input),
    json_output: readPayload(full?.outcome?.body),
  }
}

function secondsBetween(from: Date | undefined, until: Date | undefined): number | null {
  return from === undefined || until === undefined ? null : (until.getTime() - from.getTime()) / 1000
}

/** A payload that was not asked for, was erased, or never was JSON is left out. */
function readPayload(text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined
  try {
    // What was erased reads as null.
    return toPlainValue(parseJson(text)) ?? undefined
  } catch {
    return undefined
  }
}
