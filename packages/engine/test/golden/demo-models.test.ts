/** The demo checkpoint with each of its adapters against diffusers. Values: scripts/golden/demo_models.py. */

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openComponent } from '../../src/checkpoint/checkpoint.ts'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import type { RgbImage } from '../../src/image/rgb-image.ts'
import { parseGpt2Config } from '../../src/models/gpt2-config.ts'
import { applyControlNets } from '../../src/pipelines/apply-controlnets.ts'
import { applyEmbeddings } from '../../src/pipelines/apply-embeddings.ts'
import { applyImagePrompts } from '../../src/pipelines/apply-image-prompts.ts'
import { applyLoras, sortLoras } from '../../src/pipelines/apply-loras.ts'
import { loadControlNet } from '../../src/pipelines/controlnet.ts'
import type { Adapters } from '../../src/pipelines/draw-images.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadImageEncoder } from '../../src/pipelines/image-encoder.ts'
import { loadIPAdapter } from '../../src/pipelines/ip-adapter.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { Gpt2 } from '../../src/pipelines/prompt-expander.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { loadGpt2Tokenizer } from '../../src/tokenizers/gpt2-tokenizer.ts'
import { finished } from './finished.ts'
import { DATA } from './model-case.ts'

interface Case {
  readonly name: string
  readonly prompt: string
  readonly lora?: string
  readonly embedding?: string
  readonly controlnet?: string
  readonly ip_adapter?: string
  /** The IP-Adapter's file. */
  readonly weights?: string
}

interface Golden {
  readonly side: number
  readonly steps: number
  readonly guidance: number
  readonly seed: number
  /** Largest difference of latents, which are about 1. */
  readonly tolerance: number
  readonly cases: readonly Case[]
}

const MODELS = join(import.meta.dirname, '../../../../models')
const FOLDER = join(DATA, 'demo-models')
const golden = JSON.parse(await readFile(join(FOLDER, 'cases.json'), 'utf8')) as Golden
const expected = await readSafetensors(join(FOLDER, 'expected.safetensors'))
const engine = openEngine({ threads: 1 })
afterAll(() => engine.dispose())

test.each(golden.cases)('$name: latents are those of diffusers', async (request) => {
  const base = await loadStableDiffusion(engine, join(MODELS, 'pinhole-512'))
  const embedding = request.embedding && join(MODELS, request.embedding, 'learned_embeds.safetensors')
  const model = embedding ? await applyEmbeddings(base, [{ path: embedding }]) : base
  const run = textToImage(model, {
    prompt: request.prompt,
    scheduler: { name: 'DDIM' },
    schedule: { numInferenceSteps: golden.steps },
    guidanceScale: golden.guidance,
    seed: BigInt(golden.seed),
    width: golden.side,
    height: golden.side,
    adapters: await adaptersOf(model, request),
  })
  const [image] = await finished(run)
  const wanted = (await readTensor(expected, request.name)).data
  const actual = image?.latents.data ?? new Float32Array()
  expect(actual).toHaveLength(wanted.length)
  const differences = actual.map((value, i) => Math.abs(value - (wanted[i] as number)))
  expect(Math.max(...differences)).toBeLessThan(golden.tolerance)
})

test('an autoencoder in place of its own gives the demo checkpoint another native size', async () => {
  const own = await loadStableDiffusion(engine, join(MODELS, 'pinhole-512'))
  const larger = await loadStableDiffusion(engine, join(MODELS, 'pinhole-512'), {
    vae: join(MODELS, 'pinhole-1024-vae'),
  })
  expect([own.defaultSize, own.vae.factor]).toEqual([{ width: 512, height: 512 }, 32])
  expect([larger.defaultSize, larger.vae.factor]).toEqual([{ width: 1024, height: 1024 }, 64])
  expect(own.previewDecoder).toBeDefined()
  expect(larger.previewDecoder, 'the early decoder belongs to the autoencoder that lies beside it').toBeUndefined()
})

test('the prompt expander scores what follows as transformers does', async () => {
  const folder = join(MODELS, 'pinhole-prompt-expander')
  const config = parseGpt2Config(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')))
  const stored = await openWeightFile('gpt2', join(folder, 'model.safetensors'))
  const model = new Gpt2(config, await engine.weightCache.prepare(stored), engine.sessions)
  const tokenizer = await loadGpt2Tokenizer(folder)
  const actual = await (await model.start(75)).take(tokenizer.encode('a king,'))
  const wanted = (await readTensor(expected, 'prompt-expander')).data
  expect(actual).toHaveLength(wanted.length)
  expect(Math.max(...actual.map((value, i) => Math.abs(value - (wanted[i] as number))))).toBeLessThan(golden.tolerance)
})

async function adaptersOf(model: StableDiffusion, request: Case): Promise<Adapters> {
  const size = { width: golden.side, height: golden.side }
  if (request.lora !== undefined) {
    const path = join(MODELS, request.lora, 'pytorch_lora_weights.safetensors')
    const { beside, merged } = await sortLoras(model, [{ path, scale: 1 }])
    expect(merged).toEqual([])
    return applyLoras(model, beside)
  }
  if (request.controlnet !== undefined) {
    const component = await openComponent(join(MODELS, request.controlnet), 'controlnet')
    const controlnet = await loadControlNet(engine, component)
    return { unet: [applyControlNets(model, [{ model: controlnet, image: ring(golden.side) }], size)] }
  }
  if (request.ip_adapter !== undefined) {
    const path = join(MODELS, request.ip_adapter, request.weights ?? '')
    const weights = () => openWeightFile('ip_adapter', path)
    const { adapter } = await loadIPAdapter(engine, model.unet.config, { name: 'ip_adapter', weights })
    const encoder = await loadImageEncoder(engine, await openComponent(dirname(path), 'image_encoder'))
    const prompt = { adapter, encoder, images: [ring(golden.side)], scale: 1 }
    return { unet: [(await applyImagePrompts(model, [prompt], size)).adapter] }
  }
  return {}
}

/** A white ring on black, without antialiasing. */
function ring(side: number): RgbImage {
  const data = new Uint8Array(side * side * 3)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const distance = (x - 256) ** 2 + (y - 256) ** 2
      if (distance >= 150 ** 2 && distance <= 154 ** 2) data.fill(255, (y * side + x) * 3, (y * side + x) * 3 + 3)
    }
  }
  return { width: side, height: side, data }
}
