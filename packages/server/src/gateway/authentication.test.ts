import { afterEach, beforeEach, expect, test } from 'vitest'
import { createGatewayRig, type GatewayRig, jsonOf } from '../../test/fakes/gateway-rig.ts'
import type { CreatedKey, KeyStore } from './key-store.ts'
import type { RealtimeTokens, TokenHolder } from './realtime-tokens.ts'
import { createSqlKeyStore } from './sql-key-store.ts'

let rig: GatewayRig
let keys: KeyStore
let key: CreatedKey

const tokens: RealtimeTokens = {
  mint: () => Promise.reject(new Error('not in this test')),
  verify: async (token, application) => {
    if (application !== 'acme/echo') return undefined
    const holders: Record<string, TokenHolder> = { good: { keyId: key.keyId }, anonymous: {} }
    return holders[token]
  },
}

beforeEach(async () => {
  rig = await createGatewayRig({
    config: { auth: 'keys' },
    dependencies: (database) => {
      keys = createSqlKeyStore(database)
      return { keys, tokens }
    },
  })
  key = await keys.create('test', 'API', 'default')
})

afterEach(() => rig.close())

function run(authorization: string | undefined, path = '/run/acme/echo') {
  const headers = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }
  return rig.app.request(path, { method: 'POST', body: '{"prompt":"a"}', headers })
}

test.each(['Key', 'key', 'KEY', 'Bearer', 'bearer'])('%s id:secret opens run and queue', async (scheme) => {
  const credentials = `${scheme} ${key.keyId}:${key.secret}`
  expect((await run(credentials)).status).toBe(200)
  expect(rig.conversations[0]?.keyId).toBe(key.keyId)
  expect((await run(credentials, '/queue/acme/echo')).status).toBe(200)
  expect((await rig.claim()).keyId).toBe(key.keyId)
})

test('fal’s words for every way to be refused', async () => {
  const refusals: [string | undefined, string][] = [
    [undefined, 'Cannot access application "acme/echo". Authentication is required to access this application.'],
    [`Key ${key.keyId}:wrong`, 'No user found for Key ID and Secret'],
    [`Key ${key.keyId.replace(/./g, '0')}:${key.secret}`, 'No user found for Key ID and Secret'],
    ['Key no-colon', "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."],
    ['Key :x', "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."],
    ['Basic a:b', "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."],
    ['Key', "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."],
  ]
  for (const [authorization, detail] of refusals) {
    for (const path of ['/run/acme/echo', '/queue/acme/echo/twice']) {
      const response = await run(authorization, path)
      expect(response.status).toBe(401)
      expect(await response.json()).toEqual({ detail, message: detail })
    }
  }
  expect(rig.conversations).toEqual([])
})

test('a revoked key is unknown', async () => {
  expect(await keys.revoke(key.keyId)).toBe(true)
  expect(await keys.revoke(key.keyId)).toBe(false)
  expect((await run(`Key ${key.keyId}:${key.secret}`)).status).toBe(401)
  expect((await run(undefined, '/run/acme/echo?fal_jwt_token=good')).status).toBe(401)
})

test('a token in the query opens its application only', async () => {
  expect((await run(undefined, '/run/acme/echo?fal_jwt_token=good')).status).toBe(200)
  expect((await run(undefined, '/run/acme/other?fal_jwt_token=good')).status).toBe(401)
  expect((await run(undefined, '/run/acme/echo?fal_jwt_token=bad')).status).toBe(401)
  // Made by a server that asked for no keys yet.
  expect((await run(undefined, '/run/acme/echo?fal_jwt_token=anonymous')).status).toBe(401)
})

test('what is public stays open, the rest of the platform does not', async () => {
  for (const path of ['/v1/models', '/health', '/ready', '/api/openapi/queue/openapi.json?endpoint_id=acme/echo']) {
    expect((await rig.app.request(path)).status).toBe(200)
  }
  const response = await rig.app.request('/v1/models/requests/by-endpoint?endpoint_id=acme/echo')
  expect(response.status).toBe(401)
  expect(await response.json()).toEqual({ error: { type: 'authorization_error', message: 'Authentication required' } })
})

test('keys are managed with an ADMIN key', async () => {
  const admin = await keys.create('boss', 'ADMIN', 'default')
  const call = (path: string, by: CreatedKey, init: RequestInit = {}) =>
    rig.app.request(path, { ...init, headers: { authorization: `Key ${by.keyId}:${by.secret}` } })
  expect((await call('/v1/keys', key)).status).toBe(403)
  const response = await call('/v1/keys', admin, { method: 'POST', body: '{"alias":"new"}' })
  expect(response.status).toBe(201)
  const created = await jsonOf<{ key: string; key_id: string; key_secret: string }>(response)
  expect((await run(`Key ${created.key}`)).status).toBe(200)
  const { keys: listed } = await jsonOf<{ keys: { alias: string }[] }>(call('/v1/keys', admin))
  expect(listed.map((info) => info.alias).sort()).toEqual(['boss', 'new', 'test'])
  expect(JSON.stringify(listed)).not.toContain(created.key_secret)
  expect((await call(`/v1/keys/${created.key_id}`, admin, { method: 'DELETE' })).status).toBe(204)
  expect((await run(`Key ${created.key}`)).status).toBe(401)
  expect((await call('/v1/keys', admin, { method: 'POST', body: '{"alias":""}' })).status).toBe(400)
  expect((await call('/v1/keys', admin, { method: 'POST', body: '{' })).status).toBe(400)
})

test('secrets are stored as hashes', async () => {
  const rows = await rig.database.read((query) => query.selectFrom('api_keys').selectAll().execute())
  expect(rows).toHaveLength(1)
  expect(JSON.stringify(rows)).not.toContain(key.secret)
  expect(await keys.verify(key.keyId, rows[0]?.secret_hash ?? '')).toBeUndefined()
})
