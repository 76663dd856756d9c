import { Hono } from 'hono'
import type { GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'

/** `/health` (the process answers), `/ready` (what it depends on answers too) and `/metrics` (Prometheus text). */
export function healthRoutes({ readiness, metrics }: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  routes.get('/health', (c) => c.json({ status: 'ok' }))
  routes.get('/ready', async (c) => {
    const checks = await Promise.all(Object.entries(readiness ?? {}).map(runCheck))
    const ready = checks.every(([, problem]) => problem === 'ok')
    return c.json({ status: ready ? 'ok' : 'unavailable', checks: Object.fromEntries(checks) }, ready ? 200 : 503)
  })
  routes.get('/metrics', async (c) => {
    c.header('content-type', metrics.registry.contentType)
    return c.body(await metrics.registry.metrics())
  })
  return routes
}

async function runCheck([name, check]: [string, () => Promise<void>]): Promise<[string, string]> {
  try {
    await check()
    return [name, 'ok']
  } catch (error) {
    return [name, error instanceof Error ? error.message : String(error)]
  }
}
