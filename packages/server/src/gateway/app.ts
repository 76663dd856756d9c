import { Hono } from 'hono'
import { getPath } from 'hono/utils/url'
import { WireError } from '../errors/errors.ts'
import { shareWithPages } from './cross-origin.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from './dependencies.ts'
import { errorResponse, platformErrorResponse } from './error-response.ts'
import { refuseForeignOrigins } from './origin-policy.ts'
import { observeRequests } from './request-observation.ts'
import { healthRoutes } from './routes/health.ts'
import { keysRoutes } from './routes/keys.ts'
import { modelsRoutes } from './routes/models.ts'
import { openApiRoutes } from './routes/openapi.ts'
import { proxyRoutes } from './routes/proxy.ts'
import { queueRoutes } from './routes/queue.ts'
import { requestsRoutes } from './routes/requests.ts'
import { runRoutes } from './routes/run.ts'
import { routedPath, SURFACE_PREFIX, type Surface } from './surface.ts'

/**
 * Route groups of other parts (storage, tokens, streams, realtime, the playground), by surface. They come before the
 * gateway's own routes, paths relative to the surface's prefix. A group authenticates by itself (`requireKey`), on the
 * paths it owns only: a middleware on `*` would run for every route of the surface.
 */
export type RouteGroups = Readonly<Partial<Record<Surface, readonly (RouteGroup | Hono)[]>>>

/** The whole HTTP API as one Hono app: three ways in (path prefix, Host header, proxy route), no port of its own. */
export function createApp(dependencies: GatewayDependencies, groups: RouteGroups = {}): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>({ getPath: (request) => routedPath(hostOf(request), getPath(request)) })
  app.use('*', observeRequests(dependencies))
  app.use('*', refuseForeignOrigins(dependencies.config))
  app.use('*', shareWithPages)
  for (const surface of SURFACES) {
    for (const group of groups[surface] ?? []) {
      // A group that declares no variables of the gateway's reads none, so it is one that may have them all.
      app.route(mountPath(surface), group as RouteGroup)
    }
  }
  app.route('/', healthRoutes(dependencies))
  app.route('/', proxyRoutes(app))
  app.route('/', openApiRoutes(dependencies))
  app.route('/', modelsRoutes(dependencies))
  app.route('/', requestsRoutes(dependencies))
  app.route('/', keysRoutes(dependencies))
  app.route(SURFACE_PREFIX.queue, queueRoutes(dependencies))
  app.route(SURFACE_PREFIX.run, runRoutes(dependencies))
  app.notFound((c) => answerError(c, new WireError(404, 'Not Found')))
  app.onError((error, c) => {
    if (!(error instanceof WireError)) dependencies.log.error({ err: error, path: c.req.path }, 'request failed')
    return answerError(c, error)
  })
  return app
}

const SURFACES: readonly Surface[] = ['run', 'queue', 'rest', 'cdn', 'platform', 'site']

function mountPath(surface: Surface): string {
  const prefix = SURFACE_PREFIX[surface]
  return prefix === '' ? '/' : prefix
}

function hostOf(request: Request): string {
  return request.headers.get('host') ?? new URL(request.url).host
}

function answerError(c: GatewayContext, error: unknown): Response {
  return c.req.path.startsWith('/v1/') ? platformErrorResponse(error) : errorResponse(error)
}
