import { afterAll, beforeAll, expect, it } from 'vitest'
import { answeredRun } from '../../../test/fakes/answered-run.ts'
import { createGatewayRig, type GatewayRig, jsonOf } from '../../../test/fakes/gateway-rig.ts'
import type { CreatedKey } from '../key-store.ts'
import { createSqlKeyStore } from '../sql-key-store.ts'

let rig: GatewayRig
let [admin, app] = [] as CreatedKey[] as [CreatedKey, CreatedKey]

beforeAll(async () => {
  rig = await createGatewayRig({ dependencies: (database) => ({ keys: createSqlKeyStore(database) }) })
  const keys = createSqlKeyStore(rig.database)
  admin = await keys.create('boss', 'ADMIN', 'default')
  app = await keys.create('shop', 'API', 'default')
  const run = (requestId: string, completedAt: string, extra: object = {}, status = 200) =>
    rig.queue.record(
      answeredRun(requestId, {
        keyId: app.keyId,
        completedAt: new Date(completedAt),
        outcome: { status, body: '{}', headers: {} },
        ...extra,
      }),
    )
  await run('a', '2026-03-01T22:00:00Z')
  await run('b', '2026-03-01T23:30:00Z', { keyId: admin.keyId })
  await run('c', '2026-03-02T10:00:00Z', { endpointId: 'acme/echo/twice' })
  await run('failed', '2026-03-02T10:00:00Z', {}, 422)
})
afterAll(() => rig.close())

function ask(query: string, key: CreatedKey = admin) {
  return rig.app.request(`/v1/models/usage?${query}`, {
    headers: { authorization: `Key ${key.keyId}:${key.secret}` },
  })
}

function item(endpoint_id: string, quantity: number, extra: object = {}) {
  return {
    endpoint_id,
    unit: 'requests',
    quantity,
    unit_price: 0,
    percent_discount: null,
    cost_subtotal: 0,
    cost_discount: 0,
    cost_total: 0,
    cost: 0,
    currency: 'USD',
    ...extra,
  }
}

const RANGE = 'start=2026-03-01&end=2026-03-03&timeframe=day'

it('counts answered requests by day, as clocks of the asked time zone have it', async () => {
  expect(await jsonOf(ask(RANGE))).toEqual({
    time_series: [
      { bucket: '2026-03-01T00:00:00+00:00', results: [item('acme/echo', 2)] },
      { bucket: '2026-03-02T00:00:00+00:00', results: [item('acme/echo/twice', 1)] },
    ],
    next_cursor: null,
    has_more: false,
  })
  expect(await jsonOf(ask(`${RANGE}&timezone=Europe/Berlin`))).toMatchObject({
    time_series: [
      { bucket: '2026-03-01T00:00:00+01:00', results: [item('acme/echo', 1)] },
      { bucket: '2026-03-02T00:00:00+01:00', results: [item('acme/echo', 1), item('acme/echo/twice', 1)] },
    ],
  })
})

it('tells keys apart where that is asked for, and adds up', async () => {
  const named = await jsonOf(ask(`${RANGE}&expand=summary,auth_method&expand=auth_method_structured`))
  const by = (detail: string, { keyId }: CreatedKey) => ({
    auth_method: detail,
    auth_method_structured: { detail, api_key_id: keyId },
  })
  expect(named).toEqual({
    summary: [
      item('acme/echo', 1, by('shop', app)),
      item('acme/echo', 1, by('boss', admin)),
      item('acme/echo/twice', 1, by('shop', app)),
    ],
    next_cursor: null,
    has_more: false,
  })
  expect(await jsonOf(ask(`${RANGE}&expand=summary&api_key_id=${admin.keyId}`))).toMatchObject({
    summary: [item('acme/echo', 1)],
  })
  expect(await jsonOf(ask(`${RANGE}&expand=summary&endpoint_id=acme/echo/twice,acme/none`))).toMatchObject({
    summary: [item('acme/echo/twice', 1)],
  })
})

it('comes in pages of buckets, and takes whole buckets unless told not to', async () => {
  const first = await jsonOf<{ next_cursor: string }>(ask(`${RANGE}&limit=1`))
  expect(first).toMatchObject({ time_series: [{ bucket: '2026-03-01T00:00:00+00:00' }], has_more: true })
  const second = await jsonOf(ask(`${RANGE}&limit=1&cursor=${first.next_cursor}`))
  expect(second).toMatchObject({ time_series: [{ bucket: '2026-03-02T00:00:00+00:00' }], has_more: false })
  const part = 'start=2026-03-01T23:00:00Z&end=2026-03-02T01:00:00Z&timeframe=day&expand=summary'
  expect(await jsonOf(ask(part))).toMatchObject({ summary: [item('acme/echo', 2), item('acme/echo/twice', 1)] })
  expect(await jsonOf(ask(`${part}&bound_to_timeframe=false`))).toMatchObject({ summary: [item('acme/echo', 1)] })
})

it.each(['timezone=Mars', 'start=soon', 'timeframe=year', 'expand=auth_method', 'expand=all', 'limit=0'])(
  'refuses %s',
  async (query) => {
    expect((await ask(query)).status).toBe(400)
  },
)

it('is for keys of scope ADMIN', async () => {
  expect((await ask(RANGE, app)).status).toBe(403)
  expect((await rig.app.request('/v1/models/usage')).status).toBe(401)
})
