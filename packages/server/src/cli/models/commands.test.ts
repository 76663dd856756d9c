import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { FakeHub } from '../../../test/fakes/fake-hub.ts'
import { SAMPLE_WEIGHTS } from '../../../test/fakes/sample-weights.ts'
import { main } from '../../cli.ts'
import { readConfig } from '../../config/config.ts'
import { createModelStore } from '../../processes/configured-model-store.ts'
import { ENDPOINT_SCHEMAS } from '../../processes/endpoints.ts'
import { BUNDLES } from './bundles.ts'

// The commands as people type them, against a hub of the tests.

const hub = new FakeHub()
let folder = ''
let printed: string[] = []
let complained: string[] = []

beforeAll(async () => {
  await hub.listen()
  hub.add('owner/lora', { 'pytorch_lora_weights.safetensors': SAMPLE_WEIGHTS.lora }, { license: 'mit' })
  hub.add(
    'owner/pipeline',
    {
      'model_index.json': '{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"]}',
      'unet/config.json': '{"cross_attention_dim":768}',
      'unet/diffusion_pytorch_model.safetensors': SAMPLE_WEIGHTS.unet,
      'unet/diffusion_pytorch_model.fp16.safetensors': SAMPLE_WEIGHTS.icLight,
    },
    { license: 'openrail' },
  )
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-commands-'))
  vi.stubEnv('HF_ENDPOINT', hub.endpoint)
  vi.stubEnv('HF_HUB_CACHE', join(folder, 'hub'))
  vi.stubEnv('DARKROOM_DATA', join(folder, 'data'))
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line))
  vi.spyOn(console, 'error').mockImplementation((line: string) => void complained.push(line))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  process.exitCode = undefined
  hub.reset()
  await rm(folder, { recursive: true })
})
afterAll(() => hub.close())

/** What a command prints; what it complains of, where it fails. */
async function darkroom(...args: string[]): Promise<string> {
  ;[printed, complained] = [[], []]
  await main(['node', 'darkroom', ...args])
  const failed = process.exitCode === 1
  process.exitCode = undefined
  return (failed ? complained : printed).join('\n')
}

const put = async (path: string, content: Uint8Array | string) => {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), content)
}

test('a plan says what would be fetched, and fetches nothing', async () => {
  const planned = await darkroom('pull', 'owner/pipeline', 'owner/lora', '--variant', 'fp16', '--dry-run')
  expect(planned).toMatch(/^owner\/pipeline {2}\(\d+ bytes, licence openrail\)$/m)
  expect(planned).toMatch(/diffusion_pytorch_model\.fp16\.safetensors$/m)
  expect(planned).not.toContain('diffusion_pytorch_model.safetensors')
  expect(planned).toMatch(/^owner\/lora {2}\(3\.\d+ KB, licence mit\)$/m)
  expect(await darkroom('list')).toBe('')
  expect(hub.requests.filter(({ host }) => host === 'bytes')).toEqual([])
})

test('a plan says what the authors of insightface’s networks allow, wherever a copy lies', async () => {
  hub.add('DIAMONIK7777/antelopev2', { 'glintr100.onnx': new Uint8Array(10) })
  const planned = await darkroom('pull', 'DIAMONIK7777/antelopev2/glintr100.onnx', '--dry-run')
  expect(planned).toContain('(10 bytes, licence non-commercial research, by insightface)')
})

test('models are pulled, listed, shown and removed', async () => {
  expect(await darkroom('pull', 'owner/pipeline', 'owner/lora')).toMatch(
    /owner\/pipeline is here\nowner\/lora is here$/,
  )
  expect(await darkroom('pull', 'owner/lora')).toMatch(/Everything is here already\.$/)
  await put('data/models/by/hand/x.safetensors', SAMPLE_WEIGHTS.controlnet)
  const rows = (await darkroom('list')).split('\n').map((line) => line.split(/ {2,}/))
  expect(rows.slice(1).map(([name, , kind, source]) => [name, kind, source])).toEqual([
    ['by/hand', 'controlnet', 'models folder'],
    ['owner/lora', 'lora SD 1.x', 'hub cache'],
    ['owner/pipeline', 'base SD 1.x', 'hub cache'],
  ])
  expect(await darkroom('show', 'owner/lora')).toMatch(/licence {3}mit\n.*\n.*\n.*pytorch_lora_weights\.safetensors/)
  expect(await darkroom('rm', 'owner/lora')).toMatch(/^removed owner\/lora: 3\.\d+ KB are free$/)
  expect(await darkroom('show', 'owner/lora')).toMatch('darkroom: There is no owner/lora on this machine')
  expect(await darkroom('rm', 'by/hand')).toMatch('removed by hand')
  expect(await darkroom('list')).toContain('by/hand')
})

test('a variant that was pulled is found by those who ask for none', async () => {
  await darkroom('pull', 'owner/pipeline', '--variant', 'fp16')
  expect(await darkroom('list')).not.toContain('(in part)')
  const { store, close } = createModelStore(readConfig())
  expect(await store.findLocal('owner/pipeline', { kind: 'base' })).toMatchObject({
    type: 'repository',
    variant: 'fp16',
  })
  await close()
})

test('a model of which a part is missing is listed as that', async () => {
  await darkroom('pull', 'owner/pipeline')
  await rm(join(folder, 'hub/models--owner--pipeline/snapshots', hub.commitOf('owner/pipeline'), 'unet'), {
    recursive: true,
  })
  expect(await darkroom('list')).toMatch(/owner\/pipeline .*\(in part\)/)
})

test('gc removes what nobody is working on, and nothing else', async () => {
  await darkroom('pull', 'owner/lora')
  await put('hub/models--owner--lora/blobs/abc.darkroom.incomplete', 'a part')
  await put('hub/models--owner--lora/blobs/def.0123abcd.incomplete', 'a part of Python')
  expect(await darkroom('gc')).toBe('unfinished and unreachable: 22 bytes are free')
  expect(await darkroom('gc', '--all')).toBe('unfinished and unreachable: 0 bytes are free')
  expect(await darkroom('list')).toContain('owner/lora')
})

test('an endpoint that is misspelt is told with those near it', async () => {
  expect(await darkroom('pull', 'fal-ai/fast-lcm-difusion', '--dry-run')).toMatch(
    /^darkroom: There is no model fal-ai\/fast-lcm-difusion on .*Endpoints near it: fal-ai\/fast-lcm-diffusion.*\.$/,
  )
})

test('an endpoint is pulled with its models when that is agreed to', async () => {
  hub.add('stable-diffusion-v1-5/stable-diffusion-v1-5', { 'model_index.json': '{}' })
  hub.add('latent-consistency/lcm-lora-sdv1-5', { 'pytorch_lora_weights.safetensors': SAMPLE_WEIGHTS.lora })
  hub.add('CompVis/stable-diffusion-safety-checker', { 'config.json': '{}', 'pytorch_model.bin': 'checker' })
  expect(await darkroom('pull', 'fal-ai/lcm-sd15-i2i')).toMatch(/this fetches 3\.\d+ KB; add --yes to agree/)
  expect(await darkroom('pull', 'fal-ai/lcm-sd15-i2i', '--yes')).toMatch(/lcm-lora-sdv1-5 is here/)
})

test('networks that see and expanders of prompts are pulled by an endpoint or by name', async () => {
  const onnx = Buffer.of(8, 7, 0x12, 3, 0x61, 0x62, 0x63)
  hub.add('yzd-v/DWPose', { 'yolox_l.onnx': onnx, 'dw-ll_ucoco_384.onnx': onnx, 'dw-mm_ucoco.onnx': onnx })
  expect(await darkroom('pull', 'fal-ai/dwpose', '--yes')).toMatch(
    /DWPose\/yolox_l\.onnx is here\n.*384\.onnx is here$/,
  )
  expect(await darkroom('pull', 'fal-ai/image-preprocessors/canny')).toBe('It needs no model.')
  hub.add('Gustavosta/MagicPrompt-Stable-Diffusion', {
    'config.json': '{"model_type":"gpt2"}',
    'vocab.json': '{}',
    'merges.txt': '',
    'pytorch_model.bin': 'gpt2',
  })
  const planned = await darkroom('pull', 'Gustavosta/MagicPrompt-Stable-Diffusion', '--dry-run')
  for (const file of ['config.json', 'vocab.json', 'merges.txt', 'pytorch_model.bin']) expect(planned).toContain(file)
})

test('every endpoint that is served says what it draws with', async () => {
  expect(Object.keys(BUNDLES)).toEqual(expect.arrayContaining(ENDPOINT_SCHEMAS.map(({ id }) => id)))
  expect(await darkroom('pull', 'fal-ai/image-preprocessors/canny')).toBe('It needs no model.')
})

test('what cannot be pulled is one sentence', async () => {
  expect(await darkroom('pull', 'owner/nothing')).toMatch(
    /^darkroom: There is no model owner\/nothing on the hub, or it is private: check the name, or set HF_TOKEN/,
  )
  expect(await darkroom('pull', '/etc/passwd')).toMatch('nothing to be fetched')
})

test('a list of nothing says how to come to something', async () => {
  expect(await darkroom('list')).toBe('')
  expect(complained.at(-1)).toMatch(/^No models are here but .* pull fetches some\.$/)
})

test('a command that Ctrl-C ends has the exit status of that', async () => {
  const silent = createServer(() => setImmediate(() => process.emit('SIGINT'))).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${port}`)
  await main(['node', 'darkroom', 'pull', 'owner/lora'])
  expect(process.exitCode).toBe(130)
  expect(complained.at(-1)).toBe('darkroom: interrupted')
  silent.closeAllConnections()
  silent.close()
})
