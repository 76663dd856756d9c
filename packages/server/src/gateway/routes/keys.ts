import { Hono } from 'hono'
import { WireError } from '../../errors/errors.ts'
import { accountOf, requireKey } from '../authentication.ts'
import type { GatewayContext, GatewayDependencies, GatewayEnv, RouteGroup } from '../dependencies.ts'
import type { KeyStore } from '../key-store.ts'
import { readJsonValue } from '../request-body.ts'

const LONGEST_BODY = 10_000
const LONGEST_ALIAS = 200

/** `/v1/keys` of the Platform API, for keys of scope ADMIN: list, create, revoke those of the key's own account. */
export function keysRoutes(dependencies: GatewayDependencies): RouteGroup {
  const routes = new Hono<GatewayEnv>()
  const admin = requireKey(dependencies, { scope: 'ADMIN', missing: 'Authentication required' })
  routes.get('/v1/keys', admin, async (c) => {
    const keys = await requireStore(dependencies).list(accountOf(c))
    const valid = keys.filter((key) => key.revokedAt === undefined)
    return c.json({ keys: valid.map(describe), next_cursor: null, has_more: false })
  })
  routes.post('/v1/keys', admin, async (c) => {
    const created = await requireStore(dependencies).create(await readAlias(c), 'API', accountOf(c))
    const { keyId, secret } = created
    return c.json({ key_id: keyId, key_secret: secret, key: `${keyId}:${secret}` }, 201)
  })
  routes.delete('/v1/keys/:keyId', admin, async (c) => {
    const revoked = await requireStore(dependencies).revoke(c.req.param('keyId'), accountOf(c))
    if (!revoked) throw new WireError(404, 'key_id: expected the id of a valid key')
    return c.body(null, 204)
  })
  return routes
}

function requireStore({ keys }: GatewayDependencies): KeyStore {
  if (keys === undefined) throw new WireError(501, 'This server runs without keys')
  return keys
}

function describe(key: Awaited<ReturnType<KeyStore['list']>>[number]) {
  return { key_id: key.keyId, alias: key.alias, scope: key.scope, created_at: key.createdAt.toISOString() }
}

async function readAlias(c: GatewayContext): Promise<string> {
  const alias = aliasIn(await readJsonValue(c.req.raw, LONGEST_BODY))
  if (typeof alias === 'string' && alias !== '' && alias.length <= LONGEST_ALIAS) return alias
  throw new WireError(400, `alias: expected a text of 1 to ${LONGEST_ALIAS} characters`)
}

function aliasIn(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'alias' in body ? body.alias : undefined
}
