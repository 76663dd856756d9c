import { afterEach, expect, test } from 'vitest'
import { createGatewayRig, type GatewayRig } from '../../test/fakes/gateway-rig.ts'
import { newFileKey } from '../storage/object-key.ts'
import { createSqlKeyStore } from './sql-key-store.ts'

// What anybody may send is read in one go: a pattern that tries again from every character of these takes minutes, and holds up
// everybody else for as long.
const LENGTH = 200_000
const blanks = `a${' '.repeat(LENGTH)}b`
const slashes = `/a${'/'.repeat(LENGTH)}b`

let rig: GatewayRig | undefined
afterEach(async () => {
  await rig?.close()
  rig = undefined
})

test.each([`Key ${blanks}`, `Key ${blanks}:b`])('a long Authorization header', async (authorization) => {
  rig = await createGatewayRig({
    config: { auth: 'keys' },
    dependencies: (database) => ({ keys: createSqlKeyStore(database) }),
  })
  const answer = await rig.app.request('/run/acme/echo', { method: 'POST', body: '{}', headers: { authorization } })
  expect(answer.status).toBe(401)
})

test.each([
  ['forwarded', `host=${blanks}"c`],
  ['x-forwarded-prefix', slashes],
])('a long header %s', async (name, value) => {
  rig = await createGatewayRig()
  expect((await rig.app.request('/acme/echo', { method: 'POST', headers: { [name]: value } })).status).toBe(404)
})

test('a long header of a preflight', async () => {
  rig = await createGatewayRig()
  const headers = { 'access-control-request-headers': `${blanks},c , d` }
  const answer = await rig.app.request('/queue/acme/echo', { method: 'OPTIONS', headers })
  expect(answer.headers.get('access-control-allow-headers')).toBe(`${blanks},c,d`)
})

test.each([
  ['endpoint', `/run${slashes}`],
  ['request', `/queue/acme/echo/requests/1${slashes}`],
  ['route', `${'/requests/'.repeat(LENGTH / 10)}%0A`],
])('a long path that names no %s', async (_, path) => {
  rig = await createGatewayRig()
  expect((await rig.app.request(path, { method: 'POST', body: '{}' })).status).toBeGreaterThanOrEqual(400)
})

test('a long name of a file', () => {
  expect(newFileKey(`a${'-'.repeat(LENGTH)}b.png`)).toMatch(/_a-{75}\.png$/)
})
