import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { buildDecoderFeaturesGraph, buildDecoderGraph, buildEncoderGraph } from '../../src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig, spatialFactor } from '../../src/models/autoencoder-kl-config.ts'
import { buildEarlyHeadGraph, parseEarlyHeadConfig } from '../../src/models/early-head.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { TorchGenerator } from '../../src/random/torch-generator.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import type { FloatTensor } from '../../src/tensor/tensor.ts'
import { DATA, ModelRunner, readCase, readConfig, shapeOf } from './model-case.ts'

const CHECKPOINT = 'checkpoints/tiny-sd15'
const DEMO = fileURLToPath(new URL('../../../../models/pinhole-512', import.meta.url))
const CASE = ['case', 'early-decoder'] as const

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test('the levels below and the head give what torch gives', async () => {
  const { tensors, weights, tolerance } = await readCase(...CASE)
  const vae = parseAutoencoderConfig(await readConfig(`${CHECKPOINT}/vae`))
  const head = parseEarlyHeadConfig(await readConfig(weights))
  const [batch, , h, w] = shapeOf(tensors, 'latents')
  const size = { batch, height: h * spatialFactor(vae), width: w * spatialFactor(vae) }
  const whole = [buildDecoderGraph(vae, size), buildEncoderGraph(vae, size)]
  const levels = buildDecoderFeaturesGraph(vae, size, head.level)
  const { features } = await runner.run(levels, await runner.weights(`${CHECKPOINT}/vae`, whole), tensors)
  expect(relativeError(features, tensors.get('expected.features'))).toBeLessThan(tolerance)
  const shape = shapeOf(tensors, 'expected.features')
  const graph = buildEarlyHeadGraph(head, { shape, normGroups: vae.normGroups })
  const { image } = await runner.run(
    graph,
    await runner.weights(weights, [graph]),
    new Map([['features', features as FloatTensor]]),
  )
  expect(relativeError(image, tensors.get('expected.image'))).toBeLessThan(tolerance)
})

test('one that does not fit its checkpoint is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'early-decoder-'))
  const engine = openEngine({ threads: 1 })
  try {
    await cp(join(DATA, CHECKPOINT), folder, { recursive: true })
    expect((await loadStableDiffusion(engine, folder)).previewDecoder).toBeUndefined()
    await cp(join(DATA, 'early-decoder'), join(folder, 'early_decoder'), { recursive: true })
    await rm(join(folder, 'early_decoder', 'case.safetensors'))
    await writeFile(join(folder, 'early_decoder', 'config.json'), '{"level": 1, "width": 6, "pixel_shuffle": 4}')
    await expect(loadStableDiffusion(engine, folder)).rejects.toThrow('early_decoder makes 16 pixels')
  } finally {
    await engine.dispose()
    await rm(folder, { recursive: true })
  }
})

test('the demo checkpoint’s own shows, softer, what its whole decoder draws', async () => {
  const engine = openEngine({ threads: 1 })
  try {
    const { previewDecoder, vae } = await loadStableDiffusion(engine, DEMO)
    const latents = new TorchGenerator(3n).randn([1, vae.latentChannels, 4, 4])
    const whole = await vae.decode(latents)
    const fast = await previewDecoder?.decode(latents)
    expect(fast?.shape).toEqual(whole.shape)
    const difference = whole.data.reduce((sum: number, value, i) => sum + Math.abs(value - Number(fast?.data[i])), 0)
    // A blank picture is 0.33 away from this one, in values of −1 … 1.
    expect(difference / whole.data.length).toBeLessThan(0.16)
  } finally {
    await engine.dispose()
  }
})

test('another picture may be denoised once the last of a request goes through it, and never before', async () => {
  const engine = openEngine({ threads: 1 })
  try {
    const model = await loadStableDiffusion(engine, DEMO)
    const draw = async (numImages: number, forPreview: boolean) => {
      const order: string[] = []
      const parameters = {
        prompt: 'a fox',
        schedule: { numInferenceSteps: 1 },
        scheduler: { name: 'LCM' },
        guidanceScale: 1,
        seed: 1n,
        width: 64,
        height: 64,
        numImages,
        forPreview,
        onDenoised: async () => void order.push('denoised'),
      } as const
      for await (const { imageIndex } of textToImage(model, parameters)) order.push(`picture ${imageIndex}`)
      return order
    }
    expect(await draw(2, true)).toEqual(['picture 0', 'picture 1', 'denoised'])
    expect(await draw(1, false)).toEqual(['picture 0'])
  } finally {
    await engine.dispose()
  }
})
