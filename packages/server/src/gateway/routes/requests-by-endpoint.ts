import { WireError } from '../../errors/errors.ts'
import { parseJson, toPlainValue } from '../../protocol/json-parse.ts'
import type { RequestRecord } from '../../queue/request-queue.ts'
import type { GatewayContext, GatewayDependencies } from '../dependencies.ts'
import { pageEnd, readPage } from '../pagination.ts'
import type { HistoryQuery } from '../request-history.ts'

const REQUESTS_PER_PAGE = { standard: 50, most: 100 }

/**
 * Body of `GET /v1/models/requests/by-endpoint`.
 * @throws WireError 400 for wrong parameters, 404 for an unknown endpoint, 501 where there is no history
 */
export async function listRequests(dependencies: GatewayDependencies, c: GatewayContext) {
  const { history, catalogue } = dependencies
  if (history === undefined) throw new WireError(501, 'This server keeps no history of requests')
  const lookup = catalogue.find(c.req.query('endpoint_id') ?? '')
  if (lookup.kind !== 'found') throw new WireError(404, 'endpoint_id: expected the id of an endpoint of this server')
  const page = readPage({ limit: c.req.query('limit'), cursor: c.req.query('cursor') }, REQUESTS_PER_PAGE)
  // One more than is shown tells whether there is a next page.
  const query = { ...readQuery(c), endpointId: lookup.endpoint.id, limit: page.limit + 1, offset: page.offset }
  const records = await history.list(query)
  const withPayloads = (c.req.queries('expand') ?? []).includes('payloads')
  const items = records.slice(0, page.limit).map((record) => describe(record, withPayloads))
  return { items, ...pageEnd(page, records.length > page.limit) }
}

function readQuery(c: GatewayContext): Omit<HistoryQuery, 'endpointId' | 'limit' | 'offset'> {
  const requestId = c.req.query('request_id')
  const status = readChoice('status', c.req.query('status'), ['success', 'error', 'user_error'] as const)
  const from = readTime('start', c.req.query('start'))
  const until = readTime('end', c.req.query('end'))
  return {
    sortBy: readChoice('sort_by', c.req.query('sort_by'), ['ended_at', 'duration'] as const) ?? 'ended_at',
    ...(c.var.key === undefined || c.var.key.scope === 'ADMIN' ? {} : { keyId: c.var.key.keyId }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(status === undefined ? {} : { status }),
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
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

function describe(record: RequestRecord, withPayloads: boolean) {
  const { acceptedAt, startedAt, completedAt, outcome } = record
  return {
    request_id: record.requestId,
    endpoint_id: record.endpointId,
    started_at: (startedAt ?? acceptedAt).toISOString(),
    sent_at: acceptedAt.toISOString(),
    ended_at: completedAt?.toISOString() ?? null,
    status_code: outcome?.status ?? null,
    duration:
      startedAt === undefined || completedAt === undefined
        ? null
        : (completedAt.getTime() - startedAt.getTime()) / 1000,
    ...(withPayloads ? { json_input: readPayload(record.input), json_output: readPayload(outcome?.body) } : {}),
  }
}

/** A payload that was erased, or was never JSON, is shown as absent. */
function readPayload(text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined
  try {
    return toPlainValue(parseJson(text))
  } catch {
    return undefined
  }
}
