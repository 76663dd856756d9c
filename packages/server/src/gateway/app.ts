import { Hono } from 'hono'
import { getPath } from 'hono/utils/url'
import { WireError } from '../errors/errors.ts'
import { shareWithPages } from './cross-origin.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv } from './dependencies.ts'
import { surfaceHint } from './endpoint-lookup.ts'
import { errorResponse, platformErrorResponse } from './error-response.ts'
import { leaseBodies } from './lease-bodies.ts'
import { refuseForeignOrigins } from './origin-policy.ts'
import { publicUrlsOf } from './public-urls.ts'
import { observeRequests } from './request-observation.ts'
import { filesRoutes } from './routes/files.ts'
import { healthRoutes } from './routes/health.ts'
import { jwksRoutes } from './routes/jwks.ts'
import { keysRoutes } from './routes/keys.ts'
import { modelsRoutes } from './routes/models.ts'
import { openApiRoutes } from './routes/openapi.ts'
import { playgroundRoutes } from './routes/playground.ts'
import { proxyRoutes } from './routes/proxy.ts'
import { queueRoutes } from './routes/queue.ts'
import { requestsRoutes } from './routes/requests.ts'
import { runRoutes } from './routes/run.ts'
import { storageRoutes } from './routes/storage.ts'
import { storedFilesRoutes } from './routes/stored-files.ts'
import { streamRoutes } from './routes/stream.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { usageRoutes } from './routes/usage.ts'
import { weightsRoutes } from './routes/weights.ts'
import { routedPath, SURFACE_PREFIX, withoutPrefix } from './surface.ts'

/** The whole HTTP API as one Hono app: three ways in (path prefix, Host header, proxy route), no port of its own. */
export function createApp(dependencies: GatewayDependencies): Hono<GatewayEnv> {
  const { publicUrl } = dependencies.config
  const pathOf = (request: Request) =>
    withoutPrefix(getPath(request), publicUrl, request.headers.get('x-forwarded-prefix') ?? undefined)
  const app = new Hono<GatewayEnv>({ getPath: (request) => routedPath(hostOf(request), pathOf(request)) })
  app.use('*', observeRequests(dependencies))
  app.use('*', refuseForeignOrigins(dependencies.config))
  app.use('*', shareWithPages)
  const { run, queue, rest, cdn } = SURFACE_PREFIX
  const leases = leaseBodies(dependencies.bounds.bodies)
  app.use(`${run}/*`, leases)
  app.use(`${queue}/*`, leases)
  const jwks = jwksRoutes(dependencies.webhookKeys)
  // Before the sync runs, which take every path.
  app.route(run, streamRoutes(dependencies))
  app.route(run, runRoutes(dependencies))
  app.route(queue, queueRoutes(dependencies))
  app.route(rest, storageRoutes(dependencies.storage))
  app.route(rest, tokenRoutes(dependencies))
  app.route(rest, jwks)
  app.route(cdn, filesRoutes(dependencies.storage))
  app.route('/', jwks)
  app.route('/', storedFilesRoutes(dependencies))
  app.route('/', modelsRoutes(dependencies))
  app.route('/', requestsRoutes(dependencies))
  app.route('/', keysRoutes(dependencies))
  app.route('/', usageRoutes(dependencies))
  if (dependencies.weights) app.route('/', weightsRoutes(dependencies, dependencies.weights))
  app.route('/', openApiRoutes(dependencies))
  app.route('/', proxyRoutes(app))
  app.route('/', healthRoutes(dependencies))
  if (dependencies.playground) app.route('/', playgroundRoutes(dependencies.playground, dependencies.config))
  app.notFound((c) => {
    const hint = surfaceHint(dependencies.catalogue, c.req.path, publicUrlsOf(c.req, publicUrl))
    return answerError(c, new WireError(404, 'Not Found', { hint }))
  })
  app.onError((error, c) => {
    // Who leaves while waiting ends the wait, which is no defect.
    const isDefect = !(error instanceof WireError) && !c.req.raw.signal.aborted
    if (isDefect) dependencies.log.error({ err: error, path: c.req.path }, 'request failed')
    return answerError(c, error)
  })
  return app
}

function hostOf(request: Request): string {
  return request.headers.get('host') ?? new URL(request.url).host
}

function answerError(c: GatewayContext, error: unknown): Response {
  return c.req.path.startsWith('/v1/') ? platformErrorResponse(error) : errorResponse(error)
}
