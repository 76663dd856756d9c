import { expect, it } from 'vitest'
import { createGatewayRig, jsonOf } from '../../test/fakes/gateway-rig.ts'
import { type DiskFigures, diskState, requireRoom } from './disk-use.ts'

const ROOMY: DiskFigures = {
  payloadBytes: 10,
  payloadBudgetBytes: 100,
  fileBytes: 20,
  fileBudgetBytes: 200,
  freeBytes: 5000,
  reserveBytes: 1000,
}

it.each([
  ['ok', {}],
  ['ok', { payloadBytes: 100, fileBytes: 200, freeBytes: 2000 }],
  ['low', { freeBytes: 1999 }],
  ['full', { freeBytes: 999 }],
  ['full', { payloadBytes: 101 }],
  ['full', { fileBytes: 201 }],
] as const)('is %s with %o', (state, change) => {
  const figures = { ...ROOMY, ...change }
  expect(diskState(figures)).toBe(state)
  if (state === 'full') expect(() => requireRoom(figures)).toThrow(expect.objectContaining({ status: 507 }))
  else requireRoom(figures)
})

it('is told by /health and /metrics, and keeps new requests out while there is no room', async () => {
  let figures = ROOMY
  const rig = await createGatewayRig({ dependencies: () => ({ disk: () => figures }) })
  const post = (path: string) =>
    rig.app.request(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"prompt":"a"}' })
  expect([(await post('/run/acme/echo')).status, (await post('/queue/acme/echo')).status]).toEqual([200, 200])
  figures = { ...ROOMY, freeBytes: 10 }
  for (const path of ['/run/acme/echo', '/queue/acme/echo', '/run/acme/echo/stream']) {
    const response = await post(path)
    expect([response.status, await response.json()]).toEqual([
      507,
      expect.objectContaining({ detail: 'This server takes nothing new at the moment: its disk is nearly full' }),
    ])
  }
  expect(await jsonOf(rig.app.request('/health'))).toMatchObject({
    status: 'ok',
    disk: { status: 'full', payload_bytes: 10, payload_budget_bytes: 100, file_bytes: 20, free_bytes: 10 },
  })
  const metrics = await (await rig.app.request('/metrics')).text()
  expect(metrics).toContain('darkroom_stored_bytes{kind="files"} 20')
  expect(metrics).toContain('darkroom_disk_free_bytes 10')
  await rig.close()
})
