import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type Engine, openEngine } from '@darkroom/engine'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { localModels } from '../../test/fakes/local-models.ts'
import { SAMPLE_WEIGHTS } from '../../test/fakes/sample-weights.ts'
import type { RunnableEndpoint } from '../endpoints/endpoint.ts'
import { createEndpoints } from '../endpoints/fal-ai/lora/handler.ts'
import { ModelRegistry } from '../models/model-registry.ts'
import type { OpenedStore } from '../models/open-model-store.ts'
import { FACE_PACKS } from '../models/vision-models.ts'
import { validateInput } from '../validation/validate-input.ts'
import { ImageEngine } from './image-engine.ts'

const CHECKPOINTS = join(import.meta.dirname, '../../../engine/test/golden/data/checkpoints')
const CONDITIONING = join(CHECKPOINTS, '../conditioning')
const DEMO_FACES = join(import.meta.dirname, '../../../../models/pinhole-face')
const opened = openEngine({ threads: 1 })
let folder = ''
let models: OpenedStore
let images: ImageEngine
type Weights = Awaited<ReturnType<Engine['weightCache']['prepare']>>

/** Files that would be read, in order. */
const read = new Set<string>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkroom-ahead-'))
  await cp(join(CHECKPOINTS, 'tiny-sd15'), join(folder, 'owner/model'), { recursive: true })
  await cp(join(CHECKPOINTS, 'tiny-sd15/unet'), join(folder, 'owner/unet'), { recursive: true })
  await writeFile(join(folder, 'style.safetensors'), SAMPLE_WEIGHTS.lora)
  await writeFile(join(folder, 'none.safetensors'), 'these are no weights')
  await cp(join(CONDITIONING, 'base.safetensors'), join(folder, 'owner/prompts/base.safetensors'))
  await cp(join(CONDITIONING, 'face-id.safetensors'), join(folder, 'face-id.safetensors'))
  await cp(join(CONDITIONING, 'image-encoder'), join(folder, 'owner/prompts/image_encoder'), { recursive: true })
  const [{ folder: pack, detector, embedder }] = FACE_PACKS
  await cp(join(DEMO_FACES, 'detector.onnx'), join(folder, pack, detector))
  await cp(join(DEMO_FACES, 'embedder.onnx'), join(folder, pack, embedder))
  models = localModels(folder)
  // What reads is stood in for; what finds and opens models is not.
  const readAhead: Engine['readAhead'] = (all) => {
    for (const { path } of all.flatMap((weights) => weights.places())) read.add(relative(folder, path))
  }
  const foresee: Engine['foresee'] = async (open) => {
    const prepared: Weights[] = []
    const prepare: Engine['weightCache']['prepare'] = async (stored, options) => {
      const weights = await opened.weightCache.prepare(stored, options)
      prepared.push(weights)
      return weights
    }
    await open({ ...opened, readAhead, weightCache: { prepare } })
    readAhead(prepared)
  }
  const registry = new ModelRegistry({ modelFolders: [folder], hubCaches: [], bundledFolder: join(folder, 'bundled') })
  images = new ImageEngine({ engine: { ...opened, readAhead, foresee }, registry, store: models.store })
})
beforeEach(() => read.clear())
afterAll(async () => {
  await opened.dispose()
  await models.close()
  await rm(folder, { recursive: true })
})

const PICTURE = 'https://pictures.test/face.png'

async function readFor(input: Readonly<Record<string, unknown>>): Promise<string[]> {
  const [lora]: readonly RunnableEndpoint[] = createEndpoints(images)
  if (lora === undefined) throw new Error('there is no endpoint')
  const whole = validateInput(lora.schema.input, { prompt: 'a boat', ...input })
  await lora.readWeightsAhead?.(whole, new AbortController().signal)
  return [...read]
}

const component = (owner: string, name: string) =>
  expect.stringMatching(new RegExp(`^${owner}/.*${name}.*safetensors$`))
const MODEL = ['text_encoder/', 'unet/', 'vae/'].map((name) => component('owner/model', name))

test('reads a checkpoint in the order in which it is needed, and keeps none of it loaded', async () => {
  expect(await readFor({ model_name: 'owner/model' })).toEqual(MODEL)
  expect(images.warm).toEqual([])
})

test('reads a UNet in place of the checkpoint’s own, and LoRAs', async () => {
  const loras = [{ path: 'style.safetensors' }]
  const [textEncoder, , vae] = MODEL
  expect(await readFor({ model_name: 'owner/model', unet_name: 'owner/unet', loras })).toEqual([
    textEncoder,
    component('owner/unet', ''),
    vae,
    'style.safetensors',
  ])
})

test('reads an image prompt’s adapter and the encoder of its pictures', async () => {
  const ip_adapter = [{ path: 'owner/prompts', weight_name: 'base.safetensors', ip_adapter_image_url: PICTURE }]
  expect(await readFor({ model_name: 'owner/model', ip_adapter })).toEqual([
    ...MODEL,
    'owner/prompts/base.safetensors',
    component('owner/prompts', 'image_encoder'),
  ])
})

test('reads the networks that tell faces apart for an adapter of faces, and no encoder', async () => {
  const [{ folder: pack, detector, embedder }] = FACE_PACKS
  const ip_adapter = [{ path: 'face-id.safetensors', ip_adapter_image_url: PICTURE }]
  expect((await readFor({ model_name: 'owner/model', ip_adapter })).sort()).toEqual([
    'face-id.safetensors',
    `${pack}/${embedder}`,
    `${pack}/${detector}`,
    ...MODEL,
  ])
})

test('leaves alone what is not on this machine, and reads the rest', async () => {
  const loras = [{ path: 'owner/nowhere' }, { path: 'none.safetensors' }, { path: 'style.safetensors' }]
  const rest = [...MODEL, 'style.safetensors']
  expect(await readFor({ model_name: 'owner/model', loras })).toEqual(rest)
  await readFor({ model_name: 'somebody/else' })
  expect([...read]).toEqual(rest)
})

test('a model that is open is read by what it has open', async () => {
  const { store } = models
  const found = await store.findLocal('owner/model', { kind: 'base' })
  if (found?.type !== 'repository') throw new Error('the checkpoint is not found')
  const { folder: path, label } = found
  await images.model({ folder: path, label }, () => {})
  read.clear()
  expect(await readFor({ model_name: 'owner/model' })).toEqual(MODEL)
  expect(images.warm).toEqual([label])
})
