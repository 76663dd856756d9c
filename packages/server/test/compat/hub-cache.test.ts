import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type OpenedStore, openModelStore } from '../../src/models/open-model-store.ts'
import { FakeHub } from '../fakes/fake-hub.ts'
import { storeSettings } from '../fakes/local-models.ts'
import { runCommand } from '../fakes/run-command.ts'
import { SAMPLE_WEIGHTS } from '../fakes/sample-weights.ts'

// One cache for Darkroom and Python's libraries. With an interpreter that has huggingface_hub both are there; without, the layout
// that it made is.

const PYTHON = process.env.DARKROOM_TEST_PYTHON
const BYTES = randomBytes(3 * 1024 * 1024)
const SHA256 = createHash('sha256').update(BYTES).digest('hex')
const FILES = {
  'model_index.json': '{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"]}',
  'unet/config.json': '{}',
  'unet/diffusion_pytorch_model.safetensors': SAMPLE_WEIGHTS.unet,
}
/** Paths below `models--owner--pipeline` after huggingface_hub 2.4.0 fetched it, and what links lead to. */
const COMMIT = '46912f6367b83d97b2dc3e5b299fac73f1edf642'
const PYTHON_LAYOUT: Record<string, string> = {
  'blobs/213bc9f68de09a7c2f12fc07f5fd94dd2f3969e64aba5fa1f00bdd5e9522c50c': 'a file',
  'blobs/27c1dae59d3231b0f66d7b4cb8c28ef242191fa8': 'a file',
  'blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b': 'a file',
  'refs/main': 'a file',
  [`snapshots/${COMMIT}/model_index.json`]: '../../blobs/27c1dae59d3231b0f66d7b4cb8c28ef242191fa8',
  [`snapshots/${COMMIT}/unet/config.json`]: '../../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b',
  [`snapshots/${COMMIT}/unet/diffusion_pytorch_model.safetensors`]:
    '../../../blobs/213bc9f68de09a7c2f12fc07f5fd94dd2f3969e64aba5fa1f00bdd5e9522c50c',
}

const hub = new FakeHub()
let folder = ''
let opened: OpenedStore

beforeAll(async () => {
  await hub.listen()
  hub.add('owner/pipeline', FILES)
  hub.add('owner/large', { 'x.safetensors': BYTES })
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-shared-cache-'))
  opened = openModelStore({ ...storeSettings(folder, hub.endpoint), modelFolders: [] })
})
afterEach(async () => {
  await opened.close()
  hub.reset()
  await rm(folder, { recursive: true })
})
afterAll(() => hub.close())

const find = (reference: string) =>
  opened.store.find(reference, { kind: 'base', signal: AbortSignal.timeout(20_000), log: () => {} })

async function layout(): Promise<Record<string, string>> {
  const root = join(folder, 'hub', 'models--owner--pipeline')
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const paths: Record<string, string> = {}
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    // What later versions of huggingface_hub note of trees is theirs.
    if (entry.isDirectory() || path.includes('/trees/')) continue
    paths[path.slice(root.length + 1)] = entry.isSymbolicLink() ? await readlink(path) : 'a file'
  }
  return paths
}

test('Darkroom lays a repository out as huggingface_hub does', async () => {
  await find('owner/pipeline')
  expect(await layout()).toEqual(PYTHON_LAYOUT)
})

test('processes that want one file at the same time fetch it once', async () => {
  const blobs = await Promise.all([fetchInProcess(), fetchInProcess()])
  expect(new Set(blobs)).toEqual(new Set([join(folder, 'hub/models--owner--large/blobs', SHA256)]))
  expect(hub.servedBytes).toBe(BYTES.length)
})

test('a process that is killed leaves nothing that looks whole, and the next one goes on', async () => {
  const blobs = join(folder, 'hub/models--owner--large/blobs')
  const journal = join(blobs, `${SHA256}.darkroom.incomplete.journal`)
  for (let kill = 1; kill <= 2; kill++) {
    const child = spawn(process.execPath, fetchArguments(), { stdio: 'ignore' })
    const dead = once(child, 'exit')
    let pieces = 0
    hub.faults.delay = async () => {
      pieces += 1
      if (pieces < 4 + kill) return
      // It has put down that something is there, which it is to find again.
      while (!(await readFile(journal, 'utf8').catch(() => '')).includes('[[')) await sleep(5)
      child.kill('SIGKILL')
      await dead
    }
    await dead
    expect((await readdir(blobs)).filter((name) => !name.includes('.darkroom.incomplete'))).toEqual([])
    expect(opened.cache.fileSize('owner/large', hub.commitOf('owner/large'), 'x.safetensors')).toBeUndefined()
  }
  hub.reset()
  const blob = await fetchInProcess()
  expect(
    createHash('sha256')
      .update(await readFile(blob))
      .digest('hex'),
  ).toBe(SHA256)
  expect(await readdir(blobs)).toEqual([SHA256])
  expect(hub.servedBytes).toBeLessThan(BYTES.length)
})

function fetchArguments(): string[] {
  const script = fileURLToPath(new URL('../fakes/fetch-process.ts', import.meta.url))
  return ['--import', 'tsx', script, hub.endpoint, join(folder, 'hub'), 'owner/large', 'x.safetensors']
}

async function fetchInProcess(): Promise<string> {
  const args = fetchArguments()
  const file = JSON.parse(await runCommand(process.execPath, args, { environment: {} })) as { blob: string }
  return file.blob
}

describe.skipIf(PYTHON === undefined)('huggingface_hub', () => {
  async function python(...args: string[]): Promise<unknown> {
    const script = fileURLToPath(new URL('python/hub_cache.py', import.meta.url))
    const environment = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, 'hub'), HF_HUB_DISABLE_TELEMETRY: '1' }
    return JSON.parse(await runCommand(PYTHON ?? '', [script, ...args], { environment }))
  }

  test('still lays it out as it is recorded here', async () => {
    await python('fetch_repository', 'owner/pipeline')
    expect(await layout()).toEqual(PYTHON_LAYOUT)
  })

  test('finds what Darkroom fetched', async () => {
    const found = await find('owner/pipeline')
    if (found.type !== 'repository') throw new Error(found.type)
    hub.requests.length = 0
    expect(await python('find_repository', 'owner/pipeline')).toBe(found.folder)
    const weights = await python('find_file', 'owner/pipeline', 'unet/diffusion_pytorch_model.safetensors')
    expect(await readFile(String(weights))).toEqual(SAMPLE_WEIGHTS.unet)
    expect(await python('scan')).toEqual({
      warnings: [],
      size: Object.values(FILES).reduce((sum, content) => sum + content.length, 0),
      repositories: { 'owner/pipeline': ['config.json', 'diffusion_pytorch_model.safetensors', 'model_index.json'] },
      refs: ['main'],
    })
    expect(hub.requests).toEqual([])
  })

  test('fetches what Darkroom finds without asking anybody', async () => {
    const fetched = await python('fetch_repository', 'owner/pipeline')
    hub.requests.length = 0
    expect(await find('owner/pipeline')).toMatchObject({ type: 'repository', folder: fetched })
    expect(hub.requests).toEqual([])
  })

  test('fetches nothing again that Darkroom is fetching, nor the other way round', async () => {
    // Slow enough that all are there before it is done.
    hub.faults.delay = () => sleep(300)
    const all = await Promise.all([
      fetchInProcess(),
      python('fetch_file', 'owner/large', 'x.safetensors'),
      fetchInProcess(),
      python('fetch_file', 'owner/large', 'x.safetensors'),
    ])
    expect(new Set(all)).toEqual(new Set([join(folder, 'hub/models--owner--large/blobs', SHA256)]))
    expect(await readdir(join(folder, 'hub/models--owner--large/blobs'))).toEqual([SHA256])
    expect(hub.servedBytes).toBe(BYTES.length)
    expect(
      createHash('sha256')
        .update(await readFile(String(all[0])))
        .digest('hex'),
    ).toBe(SHA256)
  })
})
