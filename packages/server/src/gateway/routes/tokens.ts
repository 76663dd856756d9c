import { type Context, Hono } from 'hono'
import { fieldError, WireError } from '../../errors/errors.ts'
import { requireKey } from '../authentication.ts'
import type { GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import { readJsonValue } from '../request-body.ts'

const DEFAULT_SECONDS = 120
/** A token alone cannot be taken back, only with the key that it was made with: none outlives a day. */
const LONGEST_SECONDS = 86_400
const MAX_BODY_BYTES = 64 * 1024

type TokenRouteDependencies = Pick<GatewayDependencies, 'keys' | 'tokens'>

/**
 * `POST /tokens/` (the clients: `{allowed_apps, token_expiration}`, answered 201 with a bare JSON string, the one shape
 * that every client reads) and `POST /tokens/realtime` (the documentation: `{allowed_apps, duration}`, answered
 * `{token}`). Both understand both bodies and the older `{app, token_expiration}`. Mounted under `/rest`.
 */
export function tokenRoutes(dependencies: TokenRouteDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  routes.use('/tokens/*', requireKey(dependencies))
  routes.post('/tokens', async (c) => c.json(await mint(dependencies, c), 201))
  routes.post('/tokens/', async (c) => c.json(await mint(dependencies, c), 201))
  routes.post('/tokens/realtime', async (c) => c.json({ token: await mint(dependencies, c) }, 201))
  routes.post('/tokens/realtime/', async (c) => c.json({ token: await mint(dependencies, c) }, 201))
  return routes
}

async function mint({ tokens }: TokenRouteDependencies, c: Context<GatewayEnv>): Promise<string> {
  const body = await readObject(c.req.raw)
  return await tokens.mint({
    allowedApps: readApps(body),
    expiresInSeconds: readSeconds(body),
    ...(c.var.key === undefined ? {} : { keyId: c.var.key.keyId }),
  })
}

async function readObject(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const body = await readJsonValue(request, MAX_BODY_BYTES)
  if (body === undefined) {
    throw new WireError(422, [{ loc: ['body'], msg: 'expected a JSON object', type: 'value_error.jsondecode' }])
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body }
  throw fieldError([], 'type_error.dict', 'value is not a valid dict')
}

function readApps(body: Readonly<Record<string, unknown>>): readonly string[] {
  const apps = body.allowed_apps ?? (body.app === undefined ? undefined : [body.app])
  if (apps === undefined) throw fieldError('allowed_apps', 'value_error.missing', 'field required')
  if (!Array.isArray(apps)) throw fieldError('allowed_apps', 'type_error.list', 'value is not a valid list')
  return apps.map((app, index) => {
    if (typeof app === 'string') return app
    throw fieldError(['allowed_apps', index], 'type_error.str', 'str type expected')
  })
}

function readSeconds(body: Readonly<Record<string, unknown>>): number {
  const field = body.token_expiration === undefined ? 'duration' : 'token_expiration'
  const value = body[field] ?? DEFAULT_SECONDS
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
    throw fieldError(field, 'type_error.integer', 'value is not a valid integer')
  }
  if (seconds < 1) {
    throw fieldError(field, 'value_error.number.not_ge', 'ensure this value is greater than or equal to 1', {
      ctx: { limit_value: 1 },
    })
  }
  return Math.min(Math.floor(seconds), LONGEST_SECONDS)
}
