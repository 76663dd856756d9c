import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FalClient } from '@fal-ai/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeSafetensors, readSafetensors, readTensor } from '../../../engine/src/formats/safetensors.ts'
import { relativeError } from '../../../engine/src/tensor/relative-error.ts'
import { float32 } from '../../../engine/src/tensor/tensor.ts'
import { conditioningCases, expectedLatents, picture } from '../../../engine/test/golden/conditioning-cases.ts'
import loraGolden from '../../../engine/test/golden/data/lora/lora.json' with { type: 'json' }
import embeddingGolden from '../../../engine/test/golden/data/textual-inversion/cases.json' with { type: 'json' }
import { readPipelineCases } from '../../../engine/test/golden/pipeline-cases.ts'
import { conditionedInput, dataUri, inputOf } from './lora-requests.ts'
import { GOLDEN, type LoraServer, startLoraServer } from './lora-server.ts'

const { cases, expected } = await readPipelineCases(join(GOLDEN, 'pipelines'))

const ADAPTED = {
  prompt: 'a red house by the sea',
  negative_prompt: 'night',
  scheduler: 'Euler',
  num_inference_steps: 4,
  guidance_scale: 5,
  seed: 7,
  image_size: { width: 64, height: 48 },
  debug_latents: true,
} as const

/** The whole server drawing with the tiny checkpoints that diffusers answered for, asked as an app asks. */
describe('fal-ai/lora against diffusers', { timeout: 120_000 }, () => {
  let server: LoraServer

  beforeAll(async () => {
    server = await startLoraServer()
  })

  afterAll(() => server.stop())

  const subscribe: FalClient['subscribe'] = (id, options) => server.fal.subscribe(id, options)
  const latentsOf: LoraServer['latentsOf'] = (file) => server.latentsOf(file)

  // What lora-fields.test.ts does not ask.
  const conditioned = conditioningCases.filter(({ name }) =>
    [
      'control-guess-no-guidance',
      'control-odd',
      'control-image-to-image',
      'control-sdxl-small',
      'image-no-guidance',
    ].includes(name),
  )

  it.each(conditioned)('$name', async (request) => {
    const { strength, width, height } = request
    const input = await conditionedInput(request)
    const options = { pollInterval: 50 }
    const { data } =
      strength === null
        ? await subscribe('fal-ai/lora', { input, ...options })
        : await subscribe('fal-ai/lora/image-to-image', {
            input: { ...input, image_url: await dataUri(picture(7, width, height)), noise_strength: strength },
            ...options,
          })
    const latents = await latentsOf(data.debug_latents)
    expect(relativeError(latents, await expectedLatents(request.name))).toBeLessThan(1e-4)
  })

  const drawn = cases.filter(({ name }) => ['two-images', 'odd-latents', 'sdxl', 'guidance-embedding'].includes(name))

  it.each(drawn)('$name', async (request) => {
    const { data } = await subscribe('fal-ai/lora', { input: inputOf(request), pollInterval: 50 })
    const { latents } = await expected(request.name)
    expect(relativeError(await latentsOf(data.debug_latents), latents)).toBeLessThan(1e-4)
    const passes = await latentsOf(data.debug_per_pass_latents)
    expect(passes.shape.slice(1)).toEqual(latents.shape)
    const last = { ...latents, data: passes.data.slice(-latents.data.length) }
    expect(relativeError(last, latents)).toBeLessThan(1e-4)
    expect(Object.keys(data)).toEqual([
      'images',
      'seed',
      'has_nsfw_concepts',
      'debug_latents',
      'debug_per_pass_latents',
    ])
    expect(data.images).toHaveLength(request.num_images)
    expect(Object.keys(data.images[0] ?? {})).toEqual([
      'url',
      'content_type',
      'file_name',
      'file_size',
      'width',
      'height',
    ])
  })

  async function weights(name: string): Promise<string> {
    const bytes = await readFile(join(GOLDEN, name))
    return `data:application/octet-stream;base64,${bytes.toString('base64')}`
  }

  async function loraWeights(loras: readonly (readonly (string | number)[])[]) {
    const weigh = async ([name, scale]: readonly (string | number)[]) => ({
      path: await weights(`lora/${name}.safetensors`),
      scale: Number(scale),
    })
    return Promise.all(loras.map(weigh))
  }

  it.each(loraGolden.latents)('LoRAs: $name', async ({ name, checkpoint, loras }) => {
    const input = { ...ADAPTED, model_name: `checkpoints/${checkpoint}`, loras: await loraWeights(loras) }
    const { data } = await subscribe('fal-ai/lora', { input, pollInterval: 50 })
    const wanted = await readTensor(await readSafetensors(join(GOLDEN, 'lora/latents.safetensors')), name)
    expect(relativeError(await latentsOf(data.debug_latents), wanted)).toBeLessThan(1e-4)
  })

  it.each(embeddingGolden.latents)('embeddings: $name', async (request) => {
    const { name, checkpoint, file, tokens, prompt, negative_prompt, clip_skip, loras } = request
    const input = {
      ...ADAPTED,
      model_name: `checkpoints/${checkpoint}`,
      prompt,
      negative_prompt,
      clip_skip,
      loras: await loraWeights(loras),
      embeddings: [{ path: await weights(`textual-inversion/${file}`), tokens }],
    }
    const { data } = await subscribe('fal-ai/lora', { input, pollInterval: 50 })
    const expectedFile = await readSafetensors(join(GOLDEN, 'textual-inversion/expected.safetensors'))
    const wanted = await readTensor(expectedFile, `${name}.latents`)
    expect(relativeError(await latentsOf(data.debug_latents), wanted)).toBeLessThan(1e-4)
  })

  it('weights of another base are a 422 with a sentence', async () => {
    const wide = Buffer.from(encodeSafetensors({ '<x>': float32([768]) })).toString('base64')
    const refused = [
      [
        { loras: await loraWeights([['attention-processors', 1]]) },
        /^Target modules of .* not found in the base model/,
      ],
      [
        { embeddings: [{ path: `data:application/octet-stream;base64,${wide}`, tokens: ['<x>'] }] },
        /vectors of 768 numbers and the model takes 16 or 24; the embedding is for another base model$/,
      ],
      [{ embeddings: [{ path: await weights('lora/kohya.safetensors'), tokens: ['<x>'] }] }, /is a LoRA/],
    ] satisfies readonly [object, RegExp][]
    for (const [adapters, message] of refused) {
      const input = { ...ADAPTED, model_name: 'checkpoints/tiny-sdxl', ...adapters }
      const failed = subscribe('fal-ai/lora', { input, pollInterval: 50 })
      await expect(failed).rejects.toMatchObject({ status: 422, body: { detail: expect.stringMatching(message) } })
    }
  })
})
