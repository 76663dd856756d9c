import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeHub } from '../../test/fakes/fake-hub.ts'
import { storeSettings } from '../../test/fakes/local-models.ts'
import { SAMPLE_WEIGHTS } from '../../test/fakes/sample-weights.ts'
import {
  type FindOptions,
  type ModelStore,
  type ModelStoreSettings,
  type OpenedStore,
  openModelStore,
} from './open-model-store.ts'

const hub = new FakeHub()
let files: Server
let filesUrl = ''
let filesAsked: string[] = []
let answer: { status?: number; headers?: Record<string, string>; body: Uint8Array | string } = { body: '' }
let folder = ''
const opened: OpenedStore[] = []

const PIPELINE = {
  'model_index.json': JSON.stringify({
    _class_name: 'StableDiffusionPipeline',
    unet: ['diffusers', 'UNet2DConditionModel'],
    scheduler: ['diffusers', 'DDIMScheduler'],
    safety_checker: ['x', 'Y'],
  }),
  'unet/config.json': '{}',
  'unet/diffusion_pytorch_model.safetensors': SAMPLE_WEIGHTS.unet,
  'unet/diffusion_pytorch_model.bin': 'pickle',
  'scheduler/scheduler_config.json': '{}',
  'safety_checker/model.safetensors': 'checker',
  'README.md': 'readme',
}

beforeAll(async () => {
  await hub.listen()
  hub.add('owner/pipeline', PIPELINE, { license: 'mit' })
  hub.add('stable-diffusion-v1-5/stable-diffusion-v1-5', PIPELINE)
  hub.add('owner/lora', {
    'pytorch_lora_weights.safetensors': SAMPLE_WEIGHTS.lora,
    'other.safetensors': SAMPLE_WEIGHTS.lora,
  })
  hub.add('owner/two', {
    'a.safetensors': SAMPLE_WEIGHTS.lora,
    'b.safetensors': SAMPLE_WEIGHTS.lora,
    'sub/c.safetensors': SAMPLE_WEIGHTS.lora,
  })
  hub.add('owner/controlnet', { 'config.json': '{}', 'diffusion_pytorch_model.safetensors': SAMPLE_WEIGHTS.controlnet })
  files = createServer((request, response) => {
    filesAsked.push(`${request.method} ${request.url} ${request.headers.range ?? ''}`.trim())
    const { status = 200, headers = {}, body } = answer
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)
  })
  files.listen(0, '127.0.0.1')
  await once(files, 'listening')
  filesUrl = `http://127.0.0.1:${(files.address() as AddressInfo).port}`
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-store-'))
  answer = { body: '' }
  filesAsked = []
})
afterEach(async () => {
  hub.reset()
  await Promise.all(opened.splice(0).map((each) => each.close()))
  await rm(folder, { recursive: true })
})
afterAll(async () => {
  await hub.close()
  files.closeAllConnections()
  await new Promise((closed) => files.close(closed))
})

function store(settings: Partial<ModelStoreSettings> = {}): ModelStore {
  const open = openModelStore(
    { ...storeSettings(folder, hub.endpoint), downloads: 'adapters', ...settings },
    { backoffMs: 1, attempts: 2, stallSeconds: 5 },
  )
  opened.push(open)
  return open.store
}

const lines: string[] = []
const wish = (options: Partial<FindOptions> = {}): FindOptions => ({
  kind: 'lora',
  signal: AbortSignal.timeout(20_000),
  log: (line) => lines.push(line),
  ...options,
})
const put = async (path: string, content: Uint8Array | string) => {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), content)
}
const reason = (value: string, message: string | RegExp = '') =>
  expect.objectContaining({ name: 'ModelError', reason: value, message: expect.stringMatching(message) })

describe('references on this machine', () => {
  it('are folders of the models folder', async () => {
    for (const [path, content] of Object.entries(PIPELINE)) await put(`models/owner/pipeline/${path}`, content)
    expect(await store().find('owner/pipeline', wish({ kind: 'base' }))).toEqual({
      type: 'repository',
      folder: join(folder, 'models/owner/pipeline'),
      label: 'owner/pipeline',
    })
    expect(hub.requests).toEqual([])
  })

  it('are demo models by ids of pinhole, which nobody else is asked for', async () => {
    await put('bundled/pinhole-canny/config.json', '{}')
    await put('bundled/pinhole-canny/diffusion_pytorch_model.safetensors', 'x')
    const demo = store({ bundledFolder: join(folder, 'bundled') })
    expect(await demo.find('pinhole/canny', wish({ kind: 'controlnet' }))).toMatchObject({
      type: 'component',
      folder: join(folder, 'bundled/pinhole-canny'),
      label: 'pinhole/canny',
    })
    const absent = reason('not-found', 'There is no demo model pinhole/cany; there are pinhole/canny.')
    await expect(demo.find('pinhole/cany', wish({ kind: 'controlnet' }))).rejects.toThrow(absent)
    expect(hub.requests).toEqual([])
  })

  it('are files of it, by id and by path', async () => {
    await put('models/owner/mine/x.safetensors', SAMPLE_WEIGHTS.lora)
    const path = join(folder, 'models/owner/mine/x.safetensors')
    const content = { format: 'safetensors', kind: 'lora', family: 'sd15' }
    for (const reference of ['owner/mine/x.safetensors', './owner/mine/x.safetensors', path]) {
      expect(await store().find(reference, wish())).toEqual({ type: 'file', path, label: reference, content })
    }
    expect(await store().find('owner/mine', wish())).toMatchObject({
      type: 'file',
      path,
      label: 'owner/mine/x.safetensors',
    })
  })

  it('are not outside of it', async () => {
    await put('secret.safetensors', SAMPLE_WEIGHTS.lora)
    for (const reference of [
      '../secret.safetensors',
      'a/../../secret.safetensors',
      join(folder, 'secret.safetensors'),
      '/etc/passwd',
      '~/x',
    ]) {
      await expect(store().find(reference, wish())).rejects.toEqual(reason('forbidden'))
    }
    const path = join(folder, 'secret.safetensors')
    expect(await store({ allowsAbsolutePaths: true }).find(path, wish())).toMatchObject({ path })
  })

  it('are models whose parts are all there', async () => {
    for (const [path, content] of Object.entries(PIPELINE))
      if (!path.startsWith('unet/diff')) await put(`models/owner/pipeline/${path}`, content)
    await expect(store().find('owner/pipeline', wish({ kind: 'base' }))).rejects.toEqual(
      reason('not-found', /only in part: weights of unet is missing\. .*darkroom pull owner\/pipeline$/),
    )
    const commit = '0'.repeat(40)
    for (const [path, content] of Object.entries(PIPELINE))
      await put(`hub/models--owner--pipeline/snapshots/${commit}/${path}`, content)
    await put('hub/models--owner--pipeline/refs/main', commit)
    expect(await store().find('owner/pipeline', wish({ kind: 'base' }))).toMatchObject({
      folder: join(folder, `hub/models--owner--pipeline/snapshots/${commit}`),
    })
  })

  it('are listed to whoever names one that is not here', async () => {
    for (const name of ['owner/pipeline', 'flat']) await put(`models/${name}/model_index.json`, '{}')
    await put('models/single.safetensors', SAMPLE_WEIGHTS.unet)
    await put('models/owner/lora/pytorch_lora_weights.safetensors', SAMPLE_WEIGHTS.lora)
    await put(`hub/models--owner--cached/snapshots/${'0'.repeat(40)}/model_index.json`, '{}')
    await put('hub/models--owner--cached/refs/main', '0'.repeat(40))
    await expect(store().find('owner/pipelime', wish({ kind: 'base' }))).rejects.toEqual(
      reason('downloads-off', /; here are: flat, owner\/cached, owner\/pipeline, single\.safetensors; its/),
    )
    await expect(store().find('./lroa.safetensors', wish())).rejects.toEqual(
      reason('not-found', /models folder of this server; here are: owner\/lora, single\.safetensors\.$/),
    )
    for (let i = 0; i < 9; i++) await put(`models/many/${i}/model_index.json`, '{}')
    await expect(store().find('owner/pipelime', wish({ kind: 'base' }))).rejects.toEqual(
      reason('downloads-off', /flat, many\/0, many\/1, many\/2, many\/3, many\/4 and 7 more; its/),
    )
  })

  it('are components', async () => {
    await put('models/cn/config.json', '{}')
    await put('models/cn/diffusion_pytorch_model.fp16.safetensors', SAMPLE_WEIGHTS.controlnet)
    expect(await store().find('cn', wish({ kind: 'controlnet' }))).toMatchObject({
      type: 'component',
      folder: join(folder, 'models/cn'),
      variant: 'fp16',
    })
  })

  it('are told apart by what is in them', async () => {
    await put('models/x.safetensors', SAMPLE_WEIGHTS.controlnet)
    await put('models/page.safetensors', '<!doctype html>')
    await expect(store().find('x.safetensors', wish())).rejects.toEqual(
      reason('wrong-kind', 'x.safetensors is a ControlNet, and a LoRA is wanted here'),
    )
    await expect(store().find('page.safetensors', wish())).rejects.toEqual(reason('not-weights', 'is a web page'))
    await expect(store().find('nothing.safetensors', wish())).rejects.toEqual(reason('not-found'))
  })
})

describe('references of the hub', () => {
  it('are fetched for a request when they are adapters', async () => {
    lines.length = 0
    const found = await store().find('owner/lora', wish())
    expect(found).toMatchObject({
      type: 'file',
      label: 'owner/lora/pytorch_lora_weights.safetensors',
      revision: hub.commitOf('owner/lora'),
    })
    expect(lines[0]).toMatch(/^Downloading owner\/lora \(3\.\d\d KB\)$/)
    expect(lines.at(-1)).toMatch(/^Downloaded owner\/lora: 3\.\d\d KB in/)
    expect(hub.requests.filter(({ host }) => host === 'bytes')).toHaveLength(1)
  })

  it('are not asked about again', async () => {
    const first = await store().find('owner/lora', wish())
    hub.requests.length = 0
    lines.length = 0
    expect(await store().find('owner/lora', wish())).toEqual(first)
    expect(await store({ hubOffline: true, downloads: 'never' }).find('owner/lora', wish())).toEqual(first)
    expect([hub.requests, lines]).toEqual([[], []])
  })

  it.each([
    ['owner/two/a.safetensors', {}, 'owner/two/a.safetensors'],
    ['owner/two', { weightName: 'b.safetensors' }, 'owner/two/b.safetensors'],
    ['owner/two', { subfolder: 'sub' }, 'owner/two/sub/c.safetensors'],
    ['owner/two/sub', {}, 'owner/two/sub/c.safetensors'],
    ['HUB/owner/two/resolve/main/sub/c.safetensors', {}, 'owner/two/sub/c.safetensors'],
    ['HUB/owner/two/blob/main/a.safetensors', {}, 'owner/two/a.safetensors'],
  ])('%s %j', async (text, options, label) => {
    const found = await store().find(text.replace('HUB', hub.endpoint), wish(options))
    expect(found).toMatchObject({ type: 'file', label })
  })

  it('must say which file they mean, also when one of several is here', async () => {
    await expect(store().find('owner/two', wish())).rejects.toEqual(
      reason('ambiguous', /name the one that is meant: a.safetensors, b.safetensors/),
    )
    await store().find('owner/two/a.safetensors', wish())
    await expect(store().find('owner/two', wish())).rejects.toEqual(reason('ambiguous'))
  })

  it('are components with their configuration', async () => {
    const found = await store().find('owner/controlnet', wish({ kind: 'controlnet' }))
    if (found.type !== 'component') throw new Error(found.type)
    expect(await readFile(join(found.folder, 'config.json'), 'utf8')).toBe('{}')
  })

  it('are base models only where the operator lets them', async () => {
    await expect(store().find('owner/pipeline', wish({ kind: 'base' }))).rejects.toEqual(
      reason('downloads-off', /base models are not fetched for requests.*darkroom pull owner\/pipeline$/),
    )
    await expect(store({ downloads: 'never' }).find('owner/lora', wish())).rejects.toEqual(
      reason('downloads-off', /nothing is fetched/),
    )
    expect(hub.requests).toEqual([])
    const found = await store({ downloads: 'all' }).find('owner/pipeline', wish({ kind: 'base' }))
    expect(found).toMatchObject({ type: 'repository', label: 'owner/pipeline' })
    const asked = hub.requests
      .filter(({ method, path }) => method === 'HEAD' && path.includes('/resolve/'))
      .map(({ path }) => path.replace(/.*resolve\/\w+\//, ''))
    expect(new Set(asked)).toEqual(
      new Set([
        'model_index.json',
        'unet/config.json',
        'unet/diffusion_pytorch_model.safetensors',
        'scheduler/scheduler_config.json',
      ]),
    )
    // A part of a model is no model.
    if (found.type !== 'repository') throw new Error(found.type)
    await rm(join(found.folder, 'unet/diffusion_pytorch_model.safetensors'))
    await expect(store().find('owner/pipeline', wish({ kind: 'base' }))).rejects.toEqual(reason('downloads-off'))
  })

  it('are found under the id that they moved to', async () => {
    const found = await store({ downloads: 'all' }).find('runwayml/stable-diffusion-v1-5', wish({ kind: 'base' }))
    expect(found).toMatchObject({
      type: 'repository',
      label: 'runwayml/stable-diffusion-v1-5',
      folder: expect.stringContaining('models--stable-diffusion-v1-5--'),
    })
    expect(await store().find('runwayml/stable-diffusion-v1-5', wish({ kind: 'base' }))).toEqual(found)
  })

  it('are not asked for offline', async () => {
    await expect(store({ hubOffline: true }).find('owner/lora', wish())).rejects.toEqual(
      reason('offline', 'HF_HUB_OFFLINE'),
    )
    expect(hub.requests).toEqual([])
  })

  it('are not asked for again at once when the hub does not answer', async () => {
    const away = store({ hubEndpoint: filesUrl.replace('127.0.0.1', 'localhost.invalid') })
    await expect(away.find('owner/lora', wish())).rejects.toEqual(
      reason('unreachable', /cannot be reached for owner\/lora/),
    )
    const startedAt = hub.requests.length
    await expect(away.find('owner/two/a.safetensors', wish())).rejects.toEqual(reason('unreachable'))
    expect(hub.requests.length).toBe(startedAt)
  })

  it('are no larger than requests may fetch', async () => {
    await expect(store({ maxDownloadBytes: 1000 }).find('owner/lora', wish())).rejects.toEqual(
      reason('too-large', /more than the 1.00 KB.*darkroom pull owner\/lora$/),
    )
  })

  it('are not read from a cache that Python filled in part', async () => {
    const commit = 'b'.repeat(40)
    const root = 'hub/models--py--pipeline'
    await put(`${root}/refs/main`, commit)
    for (const path of ['model_index.json', 'unet/config.json', 'scheduler/scheduler_config.json'] as const) {
      await put(`${root}/snapshots/${commit}/${path}`, PIPELINE[path])
    }
    await expect(store().find('py/pipeline', wish({ kind: 'base' }))).rejects.toEqual(reason('downloads-off'))
    await put(`${root}/snapshots/${commit}/unet/diffusion_pytorch_model.safetensors`, SAMPLE_WEIGHTS.unet)
    expect(await store().find('py/pipeline', wish({ kind: 'base' }))).toMatchObject({ type: 'repository' })
  })

  it('are read from a cache that Python made', async () => {
    const commit = 'a'.repeat(40)
    const root = 'hub/models--py--lora'
    await put(`${root}/blobs/etag`, SAMPLE_WEIGHTS.lora)
    await put(`${root}/refs/main`, commit)
    await mkdir(join(folder, root, 'snapshots', commit), { recursive: true })
    await symlink('../../blobs/etag', join(folder, root, 'snapshots', commit, 'x.safetensors'))
    expect(await store().find('py/lora', wish())).toMatchObject({
      type: 'file',
      label: 'py/lora/x.safetensors',
      revision: commit,
    })
    await rm(join(folder, root, 'blobs/etag'))
    await expect(store({ downloads: 'never' }).find('py/lora', wish())).rejects.toEqual(reason('downloads-off'))
    expect(hub.requests).toEqual([])
  })
})

describe('other references', () => {
  it('are URLs, kept for an hour by URL and then by ETag', async () => {
    answer = { body: SAMPLE_WEIGHTS.lora, headers: { etag: '"1"' } }
    const found = await store().find(`${filesUrl}/my-lora.safetensors?token=secret`, wish())
    expect(found).toMatchObject({
      type: 'file',
      label: `${filesUrl}/my-lora.safetensors`,
      content: { kind: 'lora' },
    })
    expect(filesAsked).toHaveLength(2)
    expect(await store().find(`${filesUrl}/my-lora.safetensors?token=secret`, wish())).toEqual(found)
    expect(filesAsked).toHaveLength(2)
    const later = store({ now: () => new Date(Date.now() + 2 * 3600_000) })
    expect(await later.find(`${filesUrl}/my-lora.safetensors?token=secret`, wish())).toEqual(found)
    expect(filesAsked).toHaveLength(3)
    answer = { body: SAMPLE_WEIGHTS.embedding, headers: { etag: '"2"' } }
    const muchLater = store({ now: () => new Date(Date.now() + 9 * 3600_000) })
    expect(
      await muchLater.find(`${filesUrl}/my-lora.safetensors?token=secret`, wish({ kind: 'embedding' })),
    ).toMatchObject({ content: { kind: 'embedding' } })
  })

  it('serve from here when their server is away', async () => {
    answer = { body: SAMPLE_WEIGHTS.lora }
    const found = await store().find(`${filesUrl}/x`, wish())
    answer = { status: 503, body: '' }
    expect(await store({ now: () => new Date(Date.now() + 2 * 3600_000) }).find(`${filesUrl}/x`, wish())).toEqual(found)
  })

  it.each([
    [{ body: '<html>', headers: { 'content-type': 'text/html; charset=utf-8' } }, 'not-weights', /web page/],
    [{ body: '<!doctype html>' }, 'not-weights', /web page/],
    [{ status: 404, body: '' }, 'not-found', /answers 404/],
    [{ status: 403, body: '' }, 'gated', /HTTP 403/],
    [{ status: 302, headers: { location: 'http://169.254.169.254/x' }, body: '' }, 'blocked', /does not fetch from/],
    [{ body: SAMPLE_WEIGHTS.controlnet }, 'wrong-kind', /is a ControlNet/],
    [{ body: 'packed', headers: { 'content-encoding': 'gzip' } }, 'not-weights', /sends it packed \(gzip\)/],
  ])('%j fail as %s', async (given, value, message) => {
    answer = given
    await expect(store().find(`${filesUrl}/x`, wish())).rejects.toEqual(reason(value, message))
  })

  it('do not stay when they were no weights', async () => {
    answer = { body: '<!doctype html>' }
    await expect(store().find(`${filesUrl}/x`, wish())).rejects.toEqual(reason('not-weights'))
    answer = { body: SAMPLE_WEIGHTS.lora }
    expect(await store().find(`${filesUrl}/x`, wish())).toMatchObject({ content: { kind: 'lora' } })
  })

  it('are not in private networks unless these are allowed', async () => {
    await expect(store({ allowPrivateTargets: false }).find(`${filesUrl}/x`, wish())).rejects.toEqual(reason('blocked'))
    expect(filesAsked).toEqual([])
  })

  it('are data: URIs', async () => {
    const uri = `data:application/octet-stream;base64,${Buffer.from(SAMPLE_WEIGHTS.embedding).toString('base64')}`
    const first = await store().find(uri, wish({ kind: 'embedding' }))
    expect(first).toMatchObject({ type: 'file', label: 'the data: URI', content: { family: 'sd15' } })
    expect(await store().find(uri, wish({ kind: 'embedding' }))).toEqual(first)
    await expect(store().find('data:;base64,!', wish())).rejects.toEqual(reason('invalid-reference'))
    await expect(store({ maxDownloadBytes: 10 }).find(uri, wish())).rejects.toEqual(reason('too-large'))
  })

  it('are files that were uploaded to this server', async () => {
    let opens = 0
    const openOwnFile: FindOptions['openOwnFile'] = async (url) => {
      if (!url.startsWith('http://own/')) return undefined
      if (url.endsWith('/gone')) return { refusal: 'missing' }
      const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
        opens += 1
        controller.enqueue(SAMPLE_WEIGHTS.lora)
        controller.close()
      }
      return { key: url, body: new ReadableStream({ pull }, { highWaterMark: 0 }) }
    }
    const own = await store().find('http://own/files/x', wish({ openOwnFile }))
    expect(own).toMatchObject({ type: 'file', label: 'http://own/files/x' })
    expect(await store().find('http://own/files/x', wish({ openOwnFile }))).toEqual(own)
    expect(opens).toBe(1)
    await expect(store().find('http://own/files/gone', wish({ openOwnFile }))).rejects.toEqual(
      reason('not-found', /expired/),
    )
    // What was uploaded here is no download: it may be used whatever is fetched.
    expect(await store({ downloads: 'never' }).find('http://own/files/x', wish({ openOwnFile }))).toEqual(own)
  })
})

describe('the disk budget', () => {
  const day = 24 * 3600_000
  const at = (days: number) => ({
    budgetBytes: 2.5 * SAMPLE_WEIGHTS.lora.length,
    now: () => new Date(Date.now() + days * day),
  })
  const isHere = async (name: string) =>
    (await store({ hubOffline: true, downloads: 'never' }).findLocal(name, { kind: 'lora' })) !== undefined

  it('is kept by removing what was not used for longest', async () => {
    for (const name of ['owner/first', 'owner/second', 'owner/third'])
      hub.add(name, { 'x.safetensors': Buffer.concat([SAMPLE_WEIGHTS.lora]) })
    hub.add('owner/second', { 'x.safetensors': SAMPLE_WEIGHTS.embedding })
    await store(at(0)).find('owner/first', wish())
    await store(at(1)).find('owner/second', wish({ kind: 'embedding' }))
    await store(at(2)).find('owner/first', wish())
    answer = { body: SAMPLE_WEIGHTS.lora }
    await store({ ...at(3), budgetBytes: 2 * SAMPLE_WEIGHTS.lora.length }).find(`${filesUrl}/x`, wish())
    expect(await isHere('owner/first')).toBe(true)
    expect(await store().findLocal('owner/second', { kind: 'embedding' })).toBeUndefined()
    expect(await store({ ...at(3), downloads: 'never' }).find(`${filesUrl}/x`, wish())).toMatchObject({ type: 'file' })
  })

  it('takes nothing away that is in use, that somebody pulled, or that Python fetched', async () => {
    hub.add('owner/first', { 'x.safetensors': SAMPLE_WEIGHTS.lora })
    hub.add('owner/second', { 'x.safetensors': SAMPLE_WEIGHTS.embedding })
    await store(at(0)).find('owner/first', wish())
    // Used a moment ago.
    await store({ budgetBytes: SAMPLE_WEIGHTS.embedding.length }).find('owner/second', wish({ kind: 'embedding' }))
    expect(await isHere('owner/first')).toBe(true)
    await opened.at(-1)?.usage.pin('hub:owner/first', 'owner/first')
    hub.add('owner/third', { 'x.safetensors': SAMPLE_WEIGHTS.controlnet })
    await store({ ...at(9), budgetBytes: SAMPLE_WEIGHTS.controlnet.length }).find(
      'owner/third',
      wish({ kind: 'controlnet' }),
    )
    expect(await isHere('owner/first')).toBe(true)
    expect(await store().findLocal('owner/second', { kind: 'embedding' })).toBeUndefined()
  })

  it('is larger than any one download', async () => {
    await expect(store({ budgetBytes: 100 }).find('owner/lora', wish())).rejects.toEqual(
      reason('too-large', /keeps of what requests name.*darkroom pull owner\/lora$/),
    )
  })
})
