import { expect, it } from 'vitest'
import { type Converse, createGatewayRig } from '../../test/fakes/gateway-rig.ts'

it('refuses large bodies beyond what fits, takes small ones always, and gives room back', async () => {
  const rig = await createGatewayRig({
    environment: { DARKROOM_MAX_JSON_BYTES: '200000', DARKROOM_MAX_BODIES_BYTES: '250000' },
  })
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const waiting: Converse = async function* (input) {
    await opened
    yield { type: 'result', status: 200, headers: {}, output: input }
  }
  rig.converse = waiting
  const run = (length: number, declared = true) => {
    const body = JSON.stringify({ prompt: 'x'.repeat(length) })
    const headers = { 'content-type': 'application/json', ...(declared && { 'content-length': String(body.length) }) }
    const stream = new Blob([body]).stream()
    return rig.app.request('/run/acme/echo', {
      method: 'POST',
      headers,
      body: declared ? body : stream,
      duplex: 'half',
    } as RequestInit)
  }
  const first = run(150_000)
  // Its thread starts with the first long body.
  await expect.poll(() => rig.conversations.length, { timeout: 10_000 }).toBe(1)
  for (const declared of [true, false]) {
    const refused = await run(150_000, declared)
    expect([refused.status, refused.headers.get('x-fal-error-type')]).toEqual([429, 'concurrent_requests_limit'])
  }
  const small = run(1000)
  await expect.poll(() => rig.conversations.length).toBe(2)
  open()
  expect([(await first).status, (await small).status]).toEqual([200, 200])
  expect([(await run(150_000)).status, (await run(150_000, false)).status]).toEqual([200, 200])
  await rig.close()
})
