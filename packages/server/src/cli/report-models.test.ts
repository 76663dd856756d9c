import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { storeSettings } from '../../test/fakes/local-models.ts'
import { SAMPLE_WEIGHTS } from '../../test/fakes/sample-weights.ts'
import { type OpenedStore, openModelStore } from '../models/open-model-store.ts'
import { reportModels } from './report-models.ts'

const PIPELINE = {
  'model_index.json': JSON.stringify({ unet: ['diffusers', 'UNet2DConditionModel'] }),
  'unet/config.json': '{}',
  'unet/diffusion_pytorch_model.safetensors': SAMPLE_WEIGHTS.unet,
}
const COMMIT = '0'.repeat(40)
const LORA = 'pytorch_lora_weights.safetensors'

let folder: string
let store: OpenedStore

beforeEach(async () => {
  vi.stubEnv('npm_lifecycle_event', undefined)
  folder = await mkdtemp(join(tmpdir(), 'darkroom-report-'))
  store = openModelStore({ ...storeSettings(folder, 'https://huggingface.co'), downloads: 'never', hubOffline: true })
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await store.close()
  await rm(folder, { recursive: true })
})

async function put(place: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, place, path)), { recursive: true })
    await writeFile(join(folder, place, path), content)
  }
}

const report = async () => (await reportModels(store, '/models')).join('\n')

it('says nothing where everything is here', async () => {
  await put('models/stabilityai/stable-diffusion-xl-base-1.0', PIPELINE)
  await put('models/runwayml/stable-diffusion-v1-5', PIPELINE)
  await put('models/latent-consistency/lcm-lora-sdxl', { [LORA]: SAMPLE_WEIGHTS.lora })
  await put('models/latent-consistency/lcm-lora-sdv1-5', { [LORA]: SAMPLE_WEIGHTS.lora })
  expect(await report()).toBe('')
})

it('names what stand-ins draw in place of, and what their pictures lack', async () => {
  await put('models/stabilityai/stable-diffusion-xl-base-1.0', PIPELINE)
  expect(await report()).toBe(
    [
      'Pictures of few steps look unfinished without:',
      '  darkroom pull latent-consistency/lcm-lora-sdxl',
      'The demo checkpoints Pinhole (512 and 1024) draw in place of:',
      '  runwayml/stable-diffusion-v1-5',
      'Fetch what an endpoint draws with: darkroom pull fal-ai/fast-lcm-diffusion',
      'Or put a model into /models/owner/name.',
    ].join('\n'),
  )
})

it('names models of which a part is missing, in the models folder and in the hub cache, with what to type', async () => {
  const { 'unet/diffusion_pytorch_model.safetensors': _, ...half } = PIPELINE
  await put('models/acme/half', half)
  const repository = 'hub/models--stabilityai--stable-diffusion-xl-base-1.0'
  await put(`${repository}/snapshots/${COMMIT}`, half)
  await put(repository, { 'refs/main': COMMIT })
  // A language model's: nobody draws with it.
  await put(`hub/models--acme--words/snapshots/${COMMIT}`, { 'tokenizer.json': '{}' })
  const lines = await report()
  expect(lines).toContain('darkroom pull acme/half\n')
  expect(lines).toContain('darkroom pull stabilityai/stable-diffusion-xl-base-1.0\n')
  expect(lines).toMatch(/in place of:\n {2}stabilityai\/stable-diffusion-xl-base-1\.0\n/)
  expect(lines).not.toContain('acme/words')
})

it('says what can be typed in a clone that npm started, which gives the shell no command of that name', async () => {
  vi.stubEnv('npm_lifecycle_event', 'npx')
  expect(await report()).toContain('draws with: npx @darkroom/server pull fal-ai/fast-lcm-diffusion')
})
