import { Hono } from 'hono'
import { stringifyJson } from '../../protocol/json-text.ts'
import type { GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { openApiDocument } from '../openapi-document.ts'
import { publicUrlsOf } from '../public-urls.ts'

/** `GET /api/openapi/queue/openapi.json?endpoint_id=…`, open to all; an unknown id is answered 404 with `null`. */
export function openApiRoutes({ catalogue, config }: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  routes.get('/api/openapi/queue/openapi.json', (c) => {
    const lookup = catalogue.find(c.req.query('endpoint_id') ?? '')
    const found = lookup.kind === 'found'
    const urls = publicUrlsOf(c.req, config.publicUrl)
    const document = found ? openApiDocument(lookup.endpoint, urls) : null
    // The bounds of a seed exceed what c.json() can write.
    return c.body(stringifyJson(document), found ? 200 : 404, { 'content-type': 'application/json' })
  })
  return routes
}
