import { Hono } from 'hono'
import { stringifyJson } from '../../protocol/json-text.ts'
import type { GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { requireEndpoint } from '../endpoint-lookup.ts'
import { llmsText } from '../llms-text.ts'
import { openApiDocument } from '../openapi-document.ts'
import { publicUrlsOf } from '../public-urls.ts'

/**
 * What programs read of an endpoint, open to all: `GET /api/openapi/queue/openapi.json?endpoint_id=…`, which answers an unknown id 404 with
 * `null`, and `GET /models/{endpoint id}/llms.txt`.
 */
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
  routes.get('/models/:file{.+/llms\\.txt}', (c) => {
    const endpoint = requireEndpoint(catalogue, c.req.param('file').slice(0, -'/llms.txt'.length))
    return c.text(llmsText(endpoint, publicUrlsOf(c.req, config.publicUrl)))
  })
  return routes
}
