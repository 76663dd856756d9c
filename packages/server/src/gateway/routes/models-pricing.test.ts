import { afterAll, beforeAll, expect, it } from 'vitest'
import { createGatewayRig, type GatewayRig } from '../../../test/fakes/gateway-rig.ts'

let rig: GatewayRig

beforeAll(async () => {
  rig = await createGatewayRig()
})
afterAll(() => rig.close())

it('says what a call costs: nothing', async () => {
  const answer = await rig.app.request('/v1/models/pricing?endpoint_id=acme/echo')
  expect(await answer.json()).toEqual({
    prices: [{ endpoint_id: 'acme/echo', unit_price: 0, unit: 'requests', currency: 'USD' }],
    next_cursor: null,
    has_more: false,
  })
  expect((await rig.app.request('/v1/models/pricing?endpoint_id=acme/none')).status).toBe(404)
})

it.each([
  ['{"estimate_type":"unit_price","endpoints":{"acme/echo":{"unit_quantity":5}}}', 200],
  ['{"estimate_type":"unit_price","endpoints":{"acme/none":{"unit_quantity":5}}}', 404],
  ['{"estimate_type":"other","endpoints":{}}', 400],
  ['no JSON', 400],
])('estimates %s with %i', async (body, status) => {
  const answer = await rig.app.request('/v1/models/pricing/estimate', { method: 'POST', body })
  expect(answer.status).toBe(status)
  const json = await answer.json()
  if (status === 200) expect(json).toEqual({ estimate_type: 'unit_price', total_cost: 0, currency: 'USD' })
})
