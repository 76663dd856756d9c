import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { parseJson, toPlainValue } from '../../protocol/json-parse.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import {
  PayloadErased,
  type RequestFilter,
  type RequestPage,
  type RequestQueue,
  type RequestStatus,
  type StoredPayload,
  type StoredPayloads,
} from '../../queue/request-queue.ts'
import { holdAnswer } from '../answers-underway.ts'
import { accountOf, requireKey } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { readLimit } from '../pagination.ts'
import { publicUrlsOf } from '../public-urls.ts'
import { readChoice, readTime } from '../query-parameters.ts'
import { storedBody } from '../stored-body.ts'
import { jsonBody, type NextTurn } from '../text-response.ts'
import { visibleRequest } from '../visible-requests.ts'

const REQUESTS_PER_PAGE = { standard: 50, most: 100 }
const ORDERS = { ended_at: 'ended', duration: 'duration' } as const

/** The Platform API's view of the account's past requests: `GET …/by-endpoint`, and `GET` and `DELETE …/{request_id}/payloads`. */
export function requestsRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const key = requireKey(dependencies, { missing: 'Authentication required' })
  routes.get('/v1/models/requests/by-endpoint', key, (c) => listRequests(dependencies, c))
  routes.get('/v1/models/requests/:requestId/payloads/:part{input|output}', key, (c) =>
    payloadResponse(dependencies, c),
  )
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

/**
 * The page is read when the answer begins, payloads while it is read. One that is larger than others are sent is named by its size and
 * URL; where the payloads of a page come to more than an answer holds, the page ends before the rows do.
 */
async function listRequests(dependencies: GatewayDependencies, c: GatewayContext): Promise<Response> {
  const { queue, catalogue, config, bounds } = dependencies
  const lookup = catalogue.find(c.req.query('endpoint_id') ?? '')
  if (lookup.kind !== 'found') throw new WireError(404, 'endpoint_id: expected the id of an endpoint of this server')
  const filter = readFilter(c)
  const account = accountOf(c)
  await holdAnswer(bounds.answers, account, c)
  const nextTurn = () => bounds.turns.take(account)
  await nextTurn()
  const page = await queue.list({ ...filter, account, endpointId: lookup.endpoint.id })
  const { base } = publicUrlsOf(c.req, config.publicUrl)
  const expanded = (c.req.queries('expand') ?? []).includes('payloads')
  const items = describedItems(page, expanded ? (ids) => payloadsOfItems(queue, ids, base) : async () => [], nextTurn)
  return c.body(jsonBody(listing(page, items), nextTurn), 200, { 'content-type': 'application/json' })
}

/** Items whose payloads are looked up together: their short bodies are in memory until they are sent. */
const ITEMS_AT_ONCE = 10

/** The items of a page as JSON. @param payloads fields of the items with these ids, in their order */
async function* describedItems(
  { requests }: RequestPage,
  payloads: (requestIds: readonly string[]) => Promise<readonly (() => Promise<object>)[]>,
  nextTurn: NextTurn,
): AsyncGenerator<string, undefined> {
  for (let from = 0; from < requests.length; from += ITEMS_AT_ONCE) {
    if (from > 0) await nextTurn()
    const some = requests.slice(from, from + ITEMS_AT_ONCE)
    const fields = await payloads(some.map(({ requestId }) => requestId))
    for (const [i, request] of some.entries()) yield stringifyJson({ ...describe(request), ...(await fields[i]?.()) })
  }
  return undefined
}

/** Characters of the items of an answer. */
const LONGEST_LISTING = 4 * 1024 * 1024

async function* listing(page: RequestPage, items: AsyncIterable<string>): AsyncGenerator<string, undefined> {
  yield '{"items":['
  let length = 0
  let index = 0
  let next = page.next
  for await (const item of items) {
    yield index === 0 ? item : `,${item}`
    length += item.length
    if (length >= LONGEST_LISTING && index < page.requests.length - 1) {
      next = page.cursors[index]
      break
    }
    index += 1
  }
  yield `],"next_cursor":${JSON.stringify(next ?? null)},"has_more":${next !== undefined}}`
  return undefined
}

/** Bytes of a payload that a listing sends. */
const LARGEST_LISTED_BYTES = 64 * 1024

async function payloadsOfItems(
  queue: Pick<RequestQueue, 'payloadsOfEach'>,
  requestIds: readonly string[],
  base: string,
): Promise<readonly (() => Promise<object>)[]> {
  const stored = await queue.payloadsOfEach(requestIds)
  return requestIds.map((requestId) => () => payloadFields(stored.get(requestId), requestId, base))
}

async function payloadFields(
  stored: StoredPayloads | undefined,
  requestId: string,
  base: string,
): Promise<Readonly<Record<string, unknown>>> {
  const fields: Record<string, unknown> = {}
  for (const part of ['input', 'output'] as const) {
    const payload = stored?.[part]
    if (payload === undefined) continue
    if (payload.isKept && payload.bytes <= LARGEST_LISTED_BYTES) {
      fields[`json_${part}`] = readPayload(await collect(payload))
      continue
    }
    fields[`json_${part}_bytes`] = payload.bytes
    if (payload.isKept) fields[`json_${part}_url`] = `${base}${payloadPath(requestId, part)}`
  }
  return fields
}

function payloadPath(requestId: string, part: string): string {
  return `/v1/models/requests/${requestId}/payloads/${part}`
}

/** What is erased while it is read is left out, as what was erased before. */
async function collect(payload: StoredPayload): Promise<string> {
  let text = ''
  try {
    for await (const part of payload.read()) text += part
    return text
  } catch (error) {
    if (error instanceof PayloadErased) return ''
    throw error
  }
}

/** A payload by itself, as it is stored. */
async function payloadResponse(dependencies: GatewayDependencies, c: GatewayContext): Promise<Response> {
  const requestId = c.req.param('requestId') ?? ''
  const part = c.req.param('part') === 'output' ? 'output' : 'input'
  const isVisible = (await visibleRequest(dependencies, c, requestId, 'all')) !== undefined
  const payload = isVisible ? (await dependencies.queue.payloads(requestId))?.[part] : undefined
  if (payload === undefined || !payload.isKept) {
    throw new WireError(404, `request_id: expected the id of a request whose ${part} is kept`)
  }
  const headers = { 'content-type': 'application/json', 'content-length': String(payload.bytes) }
  return c.body(await storedBody(dependencies, c, payload), 200, headers)
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

function describe(request: RequestStatus) {
  const { requestId, acceptedAt, startedAt, completedAt, outcome } = request
  return {
    request_id: requestId,
    endpoint_id: request.endpointId,
    started_at: (startedAt ?? acceptedAt).toISOString(),
    sent_at: acceptedAt.toISOString(),
    ended_at: completedAt?.toISOString() ?? null,
    status_code: outcome?.status ?? null,
    duration: secondsBetween(startedAt, completedAt),
  }
}

function secondsBetween(from: Date | undefined, until: Date | undefined): number | null {
  return from === undefined || until === undefined ? null : (until.getTime() - from.getTime()) / 1000
}

/** A payload that was erased, or never was JSON, is left out. */
function readPayload(text: string): unknown {
  try {
    // What was erased reads as null.
    return toPlainValue(parseJson(text)) ?? undefined
  } catch {
    return undefined
  }
}
