import type { MiddlewareHandler } from 'hono'
import { EXPOSED_HEADERS } from '../protocol/headers.ts'
import type { GatewayContext, GatewayEnv } from './dependencies.ts'

const METHODS = 'GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS'
const EXPOSED = EXPOSED_HEADERS.join(',')
/** Seconds that a browser may remember a preflight. */
const MAX_AGE = '86400'

/**
 * Lets the page that calls read the answer, and answers preflights (Fetch standard, "CORS protocol").
 *
 * The headers go onto the finished response. Hono's own middleware sets them before the route answers, and so copies every
 * response through a web stream afterwards, which took longer than all the rest of a sync run in this process.
 */
export const shareWithPages: MiddlewareHandler<GatewayEnv> = async (c, next) => {
  if (c.req.method === 'OPTIONS') return preflight(c)
  await next()
  share(c, c.res.headers)
  c.res.headers.append('vary', 'Origin')
}

function preflight(c: GatewayContext): Response {
  const headers = new Headers({ 'access-control-max-age': MAX_AGE, 'access-control-allow-methods': METHODS })
  share(c, headers)
  headers.append('vary', 'Origin')
  const wanted = c.req.header('access-control-request-headers')
  if (wanted !== undefined && wanted !== '') {
    headers.set(
      'access-control-allow-headers',
      wanted
        .split(',')
        .map((name) => name.trim())
        .join(','),
    )
    headers.append('vary', 'Access-Control-Request-Headers')
  }
  // Asked by pages of the web about a server on the visitor's own network (Private Network Access).
  if (c.req.header('access-control-request-private-network') === 'true') {
    headers.set('access-control-allow-private-network', 'true')
  }
  return new Response(null, { status: 204, headers })
}

function share(c: GatewayContext, headers: Headers): void {
  const origin = c.req.header('origin')
  headers.set('access-control-allow-origin', origin === undefined || origin === '' ? '*' : origin)
  headers.set('access-control-allow-credentials', 'true')
  headers.set('access-control-expose-headers', EXPOSED)
}
