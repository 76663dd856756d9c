import { expect, it } from 'vitest'
import { createGatewayRig } from '../../test/fakes/gateway-rig.ts'
import { publicUrlsOf } from './public-urls.ts'

it.each<[Record<string, string>, string]>([
  [{}, 'http://10.0.0.2:3010'],
  [{ 'x-forwarded-host': 'a.test', 'x-forwarded-proto': 'https' }, 'https://a.test'],
  [{ 'x-forwarded-host': 'a.test', 'x-forwarded-proto': 'https', 'x-forwarded-port': '8443' }, 'https://a.test:8443'],
  [{ 'x-forwarded-host': 'a.test', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' }, 'https://a.test'],
  [{ 'x-forwarded-host': 'a.test:9000', 'x-forwarded-port': '8443' }, 'http://a.test:9000'],
  [{ 'x-forwarded-host': 'a.test', 'x-forwarded-port': '99/x' }, 'http://a.test'],
  [{ 'x-forwarded-host': 'a.test', 'x-forwarded-prefix': '/darkroom/' }, 'http://a.test/darkroom'],
  [{ forwarded: 'for=1.2.3.4;proto=https;host="b.test:8443", for=5.6.7.8;host=inner' }, 'https://b.test:8443'],
  [{ forwarded: 'host="evil.test/<"' }, 'http://10.0.0.2:3010'],
  [{ forwarded: 'host=b.test', 'x-forwarded-host': 'a.test' }, 'http://a.test'],
])('%j', (headers, base) => {
  const request = new Request('http://10.0.0.2:3010/queue/x', { headers: { host: '10.0.0.2:3010', ...headers } })
  expect(publicUrlsOf(request, undefined).base).toBe(base)
})

it.each([
  [{ publicUrl: 'https://a.test/darkroom' }, {}, '/darkroom', 'https://a.test/darkroom/queue'],
  [{ publicUrl: 'https://a.test/darkroom' }, {}, '', 'https://a.test/darkroom/queue'],
  [{}, { 'x-forwarded-prefix': '/d', 'x-forwarded-host': 'a.test' }, '/d', 'http://a.test/d/queue'],
  [{}, { 'x-forwarded-prefix': '/d', 'x-forwarded-host': 'a.test' }, '', 'http://a.test/d/queue'],
])('routes %j, %j below %j', async (config, headers, prefix, queue) => {
  const rig = await createGatewayRig({ config })
  const answer = await rig.app.request(`${prefix}/queue/acme/echo`, {
    method: 'POST',
    body: '{"prompt":"a"}',
    headers: { 'content-type': 'application/json', ...headers },
  })
  const { request_id, status_url } = (await answer.json()) as { request_id: string; status_url: string }
  expect(status_url).toBe(`${queue}/acme/echo/requests/${request_id}/status`)
  expect((await rig.app.request(`${prefix}/queue/acme/echo/requests/${request_id}/status`, { headers })).status).toBe(
    202,
  )
  await rig.close()
})
