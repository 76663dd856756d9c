/**
 * What a GPU computes in `fast`, against diffusers in float32. onnxruntime's CPU provider rounds values to float16 between operators that it computes in
 * float32; where there is a card, DARKROOM_TEST_DEVICE runs the same cases on its kernels.
 */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLora } from '../../src/adapters/lora.ts'
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts'
import { WeightCache } from '../../src/checkpoint/prepared-weights.ts'
import { buildDecoderGraph, buildEncoderGraph } from '../../src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig } from '../../src/models/autoencoder-kl-config.ts'
import { CLIP_TEXT_RENAMES } from '../../src/models/clip-text.ts'
import { applyLoras } from '../../src/pipelines/apply-loras.ts'
import { type Engine, openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import type { FloatTensor } from '../../src/tensor/tensor.ts'
import { conditioningCases, drawConditioned, expectedLatents } from './conditioning-cases.ts'
import { finished } from './finished.ts'
import { controlNetErrors, type GraphErrors, ipAdapterErrors, textEncoderErrors, unetErrors } from './graph-errors.ts'
import { ModelRunner, readCase, readConfig, shapeOf, TEST_DEVICE } from './model-case.ts'

const FLOAT16 = { kind: 'float16' } as const

/** torch's own float16 is 1.1e-3 to 2.4e-3 off in these UNets. */
const FLOAT16_TOLERANCE = 3e-3
/** What is closer was computed in float32. */
const FLOAT32_ERROR = 2e-5

const runner = new ModelRunner(FLOAT16)
afterAll(() => runner.dispose())

function expectFloat16({ errors }: GraphErrors): void {
  const furthest = Math.max(...Object.values(errors))
  expect(furthest).toBeLessThan(FLOAT16_TOLERANCE)
  expect(furthest).toBeGreaterThan(FLOAT32_ERROR)
}

test.each(['unet-sd15', 'unet-sdxl', 'unet-lcm'])('%s', async (name) => {
  expectFloat16(await unetErrors(runner, name))
})

test.each(['controlnet-sd15', 'controlnet-sdxl', 'controlnet-pooled'])('%s', async (name) => {
  expectFloat16(await controlNetErrors(runner, name))
})

test.each(['base', 'plus', 'face-id-plus-v2'])('IP-Adapter %s', async (name) => {
  expectFloat16(await ipAdapterErrors(runner, name))
})

test.each([
  ['text-encoder-sd15', {}],
  ['text-encoder-sdxl-2', CLIP_TEXT_RENAMES],
] as const)('%s', async (name, renames) => {
  expectFloat16(await textEncoderErrors(runner, name, renames))
})

describe('an autoencoder', () => {
  async function decoderErrors(fields: object): Promise<GraphErrors> {
    const { tensors, weights, tolerance } = await readCase('vae-sd15')
    const config = parseAutoencoderConfig({ ...((await readConfig(weights)) as object), ...fields })
    const [batch, , height, width] = shapeOf(tensors, 'encoder_image')
    const size = { batch, height, width }
    const [decoder, encoder] = [buildDecoderGraph(config, size), buildEncoderGraph(config, size)]
    const { image } = await runner.run(decoder, await runner.weights(weights, [decoder, encoder]), tensors)
    return { errors: { image: relativeError(image, tensors.get('expected.image')) }, tolerance }
  }

  test('that was made for float16 runs in it', async () => {
    expectFloat16(await decoderErrors({ force_upcast: false }))
  })

  test('that was not stays in float32', async () => {
    const { errors, tolerance } = await decoderErrors({})
    expect(errors.image).toBeLessThan(tolerance)
  })
})

describe('pipelines', () => {
  let folder: string
  let engine: Engine
  const exact = openEngine({ threads: 1 })
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'float16-'))
    engine = openEngine({ threads: 1, executionProvider: TEST_DEVICE, cacheFolder: folder, fast: FLOAT16 })
  })
  afterAll(async () => {
    await Promise.all([engine.dispose(), exact.dispose()])
    await rm(folder, { recursive: true })
  })

  // Guidance multiplies what float16 leaves between two predictions of a random network.
  const cases = conditioningCases.filter(({ name }) =>
    /^(control|control-sdxl|image|image-sdxl|everything)$/.test(name),
  )
  test.each(cases)('$name', async (request) => {
    const error = relativeError(await drawConditioned(engine, request), await expectedLatents(request.name))
    expect(error).toBeLessThan(0.1)
    expect(error).toBeGreaterThan(FLOAT32_ERROR)
  })

  const models = fileURLToPath(new URL('../../../../models/', import.meta.url))

  async function drawDemo(of: Engine): Promise<FloatTensor> {
    const model = await loadStableDiffusion(of, join(models, 'pinhole-512'))
    const lora = await openLora(join(models, 'pinhole-lcm-lora/pytorch_lora_weights.safetensors'))
    const run = textToImage(model, {
      prompt: 'a red house by the sea',
      scheduler: { name: 'LCM' },
      schedule: { numInferenceSteps: 2 },
      guidanceScale: 1,
      seed: 3n,
      width: 128,
      height: 128,
      adapters: await applyLoras(model, [{ lora }]),
    })
    return (await finished(run))[0]?.latents as FloatTensor
  }

  test('a float16 checkpoint with a LoRA beside it is mapped as it lies, and nothing is prepared', async () => {
    await rm(folder, { recursive: true })
    const error = relativeError(await drawDemo(engine), await drawDemo(exact))
    expect(error).toBeLessThan(2e-2)
    expect(error).toBeGreaterThan(FLOAT32_ERROR)
    expect(await readdir(folder).catch(() => [])).toEqual([])
  })

  test('another checkpoint is prepared at half the size, but for what stays in float32', async () => {
    const cache = new WeightCache({ folder: join(folder, 'other') })
    const stored = await openComponentWeights(
      'unet',
      fileURLToPath(new URL('data/checkpoints/tiny-sd15/unet', import.meta.url)),
    )
    const all = await cache.prepare(stored, { float16: 'all' })
    const kept = await cache.prepare(stored, { float16: 'kept' })
    const key = 'conv_in.weight'
    const { length } = stored.tensors.get(key) ?? { length: 0 }
    expect(all.locate(key)).toMatchObject({ dtype: 'float16', length: length / 2 })
    expect(kept.locate(key)).toMatchObject({ dtype: 'float32', length, path: stored.files[0]?.path })
  })
})
