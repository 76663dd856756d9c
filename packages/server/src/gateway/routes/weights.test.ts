import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeHub } from '../../../test/fakes/fake-hub.ts'
import { createGatewayRig, type GatewayRig } from '../../../test/fakes/gateway-rig.ts'
import { storeSettings } from '../../../test/fakes/local-models.ts'
import { SAMPLE_WEIGHTS } from '../../../test/fakes/sample-weights.ts'
import { type OpenedStore, openModelStore } from '../../models/open-model-store.ts'
import { createSqlKeyStore } from '../sql-key-store.ts'

const hub = new FakeHub()
let folder = ''
let weights: OpenedStore
let rig: GatewayRig
let admin = ''
let plain = ''

beforeAll(async () => {
  await hub.listen()
  hub.add('owner/lora', { 'x.safetensors': SAMPLE_WEIGHTS.lora }, { license: 'mit' })
  hub.add('owner/gated', { 'x.safetensors': SAMPLE_WEIGHTS.lora }, { gated: true })
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-weights-'))
  weights = openModelStore(
    { ...storeSettings(folder, hub.endpoint), downloads: 'never' },
    { backoffMs: 1, attempts: 2 },
  )
  rig = await createGatewayRig({
    dependencies: (database) => ({ weights, keys: createSqlKeyStore(database) }),
  })
  const keys = createSqlKeyStore(rig.database)
  const secrets = [await keys.create('', 'ADMIN', 'default'), await keys.create('', 'API', 'default')]
  ;[admin = '', plain = ''] = secrets.map(({ keyId, secret }) => `${keyId}:${secret}`)
})
afterEach(async () => {
  hub.reset()
  await rig.close()
  await weights.close()
  await rm(folder, { recursive: true })
})
afterAll(() => hub.close())

async function call(method: string, path: string, body?: unknown, key = admin) {
  const response = await rig.app.request(path, {
    method,
    headers: { authorization: `Key ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const events = text.split('\n\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []))
  return { status: response.status, events, answer: events.length === 0 ? JSON.parse(text) : undefined }
}

describe('/v1/darkroom/models', () => {
  it('pulls with progress, lists and removes', async () => {
    const { status, events } = await call('POST', '/v1/darkroom/models/pull', { model: 'owner/lora' })
    expect(status).toBe(200)
    const size = SAMPLE_WEIGHTS.lora.length
    expect(events).toEqual([
      {
        type: 'planned',
        model: 'owner/lora',
        license: 'mit',
        files: [{ path: 'x.safetensors', size }],
        missing_bytes: size,
      },
      { type: 'progress', done_bytes: size, total_bytes: size },
      { type: 'done', model: 'owner/lora' },
    ])
    await mkdir(join(folder, 'models'))
    await writeFile(join(folder, 'models', 'mine.safetensors'), SAMPLE_WEIGHTS.controlnet)
    const { answer } = await call('GET', '/v1/darkroom/models')
    expect(answer.models).toMatchObject([
      { name: 'mine.safetensors', source: 'models_folder', kind: 'controlnet', is_warm: false },
      { name: 'owner/lora', source: 'hub_cache', bytes: size, kind: 'lora', family: 'sd15', is_whole: true },
    ])
    expect(await call('DELETE', '/v1/darkroom/models?name=owner%2Flora')).toMatchObject({
      status: 200,
      answer: { freed_bytes: size },
    })
    expect((await call('GET', '/v1/darkroom/models')).answer.models).toHaveLength(1)
    expect((await call('DELETE', '/v1/darkroom/models?name=owner%2Flora')).status).toBe(404)
    expect((await call('DELETE', '/v1/darkroom/models?name=mine.safetensors')).status).toBe(403)
  })

  it('says what cannot be pulled', async () => {
    const pull = (body: unknown) => call('POST', '/v1/darkroom/models/pull', body)
    expect(await pull({ model: 'owner/nothing' })).toMatchObject({
      status: 404,
      answer: { error: { type: 'not_found' } },
    })
    expect(await pull({})).toMatchObject({ status: 400 })
    expect(await pull({ model: 'owner/lora', kind: 'cat' })).toMatchObject({ status: 400 })
    expect(await pull({ model: '../../etc/passwd' })).toMatchObject({ status: 400 })
    // The listing of a gated repository is open; its files are not.
    const { events } = await pull({ model: 'owner/gated' })
    expect(events.at(-1)).toMatchObject({
      type: 'failed',
      reason: 'gated',
      message: expect.stringContaining('HF_TOKEN'),
    })
  })

  it('is for keys of scope ADMIN', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/pull'],
      ['DELETE', '?name=x'],
    ] as const) {
      expect((await call(method, `/v1/darkroom/models${path}`, method === 'POST' ? {} : undefined, plain)).status).toBe(
        403,
      )
      expect((await call(method, `/v1/darkroom/models${path}`, method === 'POST' ? {} : undefined, 'x:y')).status).toBe(
        401,
      )
    }
  })
})
