import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { z } from 'zod'
import type { EndpointSchema } from '../../endpoints/endpoint.ts'
import { WireError } from '../../errors/errors.ts'
import { stringifyJson } from '../../protocol/json-text.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { openApiDocument } from '../openapi-document.ts'
import { type Page, pageEnd, readPage } from '../pagination.ts'
import { type PublicUrls, publicUrlsOf } from '../public-urls.ts'
import { readJsonValue } from '../request-body.ts'

const MODELS_PER_PAGE = { standard: 50, most: 100 }

/** `/v1/models` of the Platform API and its prices, open to all. */
export function modelsRoutes({ catalogue, config }: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  // With every endpoint's document it has 140 kB, of which a tenth is left.
  routes.get('/v1/models', compress(), (c) => {
    const urls = publicUrlsOf(c.req, config.publicUrl)
    const page = readPage({ limit: c.req.query('limit'), cursor: c.req.query('cursor') }, MODELS_PER_PAGE)
    return json(c, listModels(filterModels(catalogue.endpoints, c), page, urls, c.req.queries('expand') ?? []))
  })
  routes.get(THUMBNAIL_PATH, (c) => c.body(THUMBNAIL, 200, { 'content-type': 'image/svg+xml' }))
  routes.get('/v1/models/pricing', (c) => {
    const prices = filterModels(catalogue.endpoints, c).map(({ id }) => ({ endpoint_id: id, ...PRICE }))
    return json(c, { prices, next_cursor: null, has_more: false })
  })
  routes.post('/v1/models/pricing/estimate', async (c) => {
    const { estimate_type, endpoints } = readEstimate(await readJsonValue(c.req.raw, LONGEST_ESTIMATE))
    const unknown = Object.keys(endpoints).find((id) => catalogue.find(id).kind !== 'found')
    if (unknown !== undefined) throw new WireError(404, `Model ${unknown.slice(0, 200)} not found`)
    return json(c, { estimate_type, total_cost: 0, currency: PRICE.currency })
  })
  return routes
}

/** Nothing is billed here: widgets that show what a call costs get an answer, and it is 0. */
export const PRICE = { unit_price: 0, unit: 'requests', currency: 'USD' } as const
const LONGEST_ESTIMATE = 64 * 1024

const estimate = z.object({
  estimate_type: z.enum(['historical_api_price', 'unit_price']),
  endpoints: z.record(
    z.string(),
    z.object({ call_quantity: z.number().min(0), unit_quantity: z.number().min(0) }).partial(),
  ),
})

/** @throws WireError 400 */
function readEstimate(body: unknown): z.infer<typeof estimate> {
  const parsed = estimate.safeParse(body)
  if (parsed.success) return parsed.data
  const form = '{"estimate_type": "unit_price", "endpoints": {"owner/name": {"unit_quantity": 1}}}'
  throw new WireError(400, `expected a body such as ${form}`)
}

function json(c: GatewayContext, body: unknown): Response {
  return c.body(stringifyJson(body), 200, { 'content-type': 'application/json' })
}

/** @throws WireError 404 when an id is asked for that does not exist */
function filterModels(endpoints: readonly EndpointSchema[], c: GatewayContext): readonly EndpointSchema[] {
  const ids = c.req.queries('endpoint_id')
  const query = c.req.query('q')?.toLowerCase()
  const category = c.req.query('category')
  const unknown = ids?.find((id) => !endpoints.some((endpoint) => endpoint.id === id))
  if (unknown !== undefined) throw new WireError(404, `Model ${unknown.slice(0, 200)} not found`)
  // Nothing here is deprecated.
  if (c.req.query('status') === 'deprecated') return []
  return endpoints.filter(
    (endpoint) =>
      (ids === undefined || ids.includes(endpoint.id)) &&
      (category === undefined || endpoint.category === category) &&
      (query === undefined || searchTextOf(endpoint).includes(query)),
  )
}

function searchTextOf({ id, title, description, category, tags = [] }: EndpointSchema): string {
  return [id, title, description, category, ...tags].join('\n').toLowerCase()
}

function timeOf(day: string | undefined): string | undefined {
  return day === undefined ? undefined : new Date(day).toISOString()
}

/** A picture in a frame: every entry of the live service's listing has a thumbnail. */
const THUMBNAIL = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80"><rect width="120" height="80" fill="#1d1b19"/><g fill="none" stroke="#d9a441" stroke-width="3"><rect x="35" y="20" width="50" height="40" rx="3"/><path d="m40 55 13-15 9 9 7-8 11 14"/><circle cx="71" cy="31" r="4"/></g></svg>`
const THUMBNAIL_PATH = '/v1/models/thumbnail.svg'

/** As the live service has it, a key without a value is left out: there are no licences here. */
function listModels(endpoints: readonly EndpointSchema[], page: Page, urls: PublicUrls, expand: readonly string[]) {
  const models = endpoints.slice(page.offset, page.offset + page.limit).map((endpoint) => ({
    endpoint_id: endpoint.id,
    metadata: {
      display_name: endpoint.title,
      category: endpoint.category,
      description: endpoint.description,
      status: 'active',
      tags: [...(endpoint.tags ?? []), ...(endpoint.realtime ? ['realtime'] : [])],
      updated_at: timeOf(endpoint.addedOn),
      is_favorited: null,
      thumbnail_url: `${urls.base}${THUMBNAIL_PATH}`,
      model_url: `${urls.run}/${endpoint.id}`,
      date: timeOf(endpoint.addedOn),
      group: endpoint.group,
      highlighted: false,
      kind: 'inference',
      stream_url: `${urls.run}/${endpoint.id}/stream`,
      pinned: false,
    },
    ...(expand.includes('openapi-3.0') ? { openapi: openApiDocument(endpoint, urls) } : {}),
  }))
  return { models, ...pageEnd(page, endpoints.length > page.offset + page.limit) }
}
