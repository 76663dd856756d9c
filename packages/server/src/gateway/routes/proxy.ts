import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { TARGET_URL } from '../../protocol/headers.ts'
import type { GatewayEnv, RouteGroup } from '../dependencies.ts'
import { hostNameOf, SURFACE_PREFIX, surfaceOfHost } from '../surface.ts'

/**
 * `/api/fal/proxy`, the proxy protocol of fal's JS client: the call is the original one, and `x-fal-target-url` says where
 * it was going. It is dispatched here, in this process; the URL is never fetched.
 */
export function proxyRoutes(app: Hono<GatewayEnv>): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  routes.on(['GET', 'POST', 'PUT', 'DELETE'], '/api/fal/proxy', async (c) => {
    const own = new URL(c.req.url)
    const url = new URL(`${own.origin}${localPath(c.req.header(TARGET_URL))}`)
    const headers = new Headers(c.req.raw.headers)
    headers.delete(TARGET_URL)
    const { body, method, signal } = c.req.raw
    // The new request's body is what reads the message of the one that came.
    return app.fetch(new Request(url, { method, headers, body, signal, duplex: 'half' }), {
      ...c.env,
      incoming: undefined,
    })
  })
  return routes
}

/** Path and query on this server for a URL on one of fal's hosts. @throws WireError 400 for any other */
function localPath(target: string | undefined): string {
  const url = target !== undefined && URL.canParse(target) ? new URL(target) : undefined
  const surface = url === undefined ? undefined : surfaceOfHost(hostNameOf(url.host))
  if (url === undefined || surface === undefined) throw new WireError(400, 'Invalid request')
  return `${SURFACE_PREFIX[surface]}${url.pathname}${url.search}`
}
