import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeImage, type RgbImage } from '@darkroom/engine'
import { createFalClient, type FalClient } from '@fal-ai/client'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeSafetensors, readSafetensors, readTensor } from '../../../engine/src/formats/safetensors.ts'
import { float32 } from '../../../engine/src/tensor/tensor.ts'
import {
  type ConditioningCase,
  conditioningCases,
  conditioningPrompts,
  expectedLatents,
  maskPicture,
  picture,
} from '../../../engine/test/golden/conditioning-cases.ts'
import loraGolden from '../../../engine/test/golden/data/lora/lora.json' with { type: 'json' }
import embeddingGolden from '../../../engine/test/golden/data/textual-inversion/cases.json' with { type: 'json' }
import { relativeError } from '../../../engine/test/golden/model-case.ts'
import { type PipelineCase, readPipelineCases } from '../../../engine/test/golden/pipeline-cases.ts'
import { readConfig } from '../../src/config/config.ts'
import { type RunningServer, startServer } from '../../src/processes/server-process.ts'

const GOLDEN = new URL('../../../engine/test/golden/data/', import.meta.url).pathname
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
  let folder: string
  let server: RunningServer
  let fal: FalClient

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-lora-'))
    const environment = { DARKROOM_MODELS: GOLDEN, HF_HUB_CACHE: join(folder, 'none') }
    const config = readConfig({ port: 0, dataFolder: folder, logLevel: 'silent' }, environment)
    server = await startServer(config, pino({ level: 'silent' }))
    fal = createFalClient({ proxyUrl: { url: `${server.url}/api/fal/proxy`, when: 'always' } })
  })

  afterAll(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function latentsOf(file: { readonly url: string } | undefined) {
    const response = await fetch(file?.url ?? '')
    const path = join(folder, 'latents.safetensors')
    await writeFile(path, new Uint8Array(await response.arrayBuffer()))
    return readTensor(await readSafetensors(path), 'latents')
  }

  // FaceID's and InstantID's take embeddings of faces, an adapter has one mask here, no endpoint averages a list of pictures, and the
  // cases' tiles are below the bounds.
  const conditioned = conditioningCases.filter(
    ({ image_prompts, width, height, tile }) =>
      tile === null &&
      image_prompts.every(({ faces, masks, averaged }) => !faces && !averaged && (masks ?? []).length < 2) &&
      width % 8 === 0 &&
      height % 8 === 0,
  )

  it.each(conditioned)('$name', async (request) => {
    const { strength, width, height } = request
    const input = await conditionedInput(request)
    const options = { pollInterval: 50 }
    const { data } =
      strength === null
        ? await fal.subscribe('fal-ai/lora', { input, ...options })
        : await fal.subscribe('fal-ai/lora/image-to-image', {
            input: { ...input, image_url: await dataUri(picture(7, width, height)), noise_strength: strength },
            ...options,
          })
    const latents = await latentsOf(data.debug_latents)
    expect(relativeError(latents, await expectedLatents(request.name))).toBeLessThan(1e-4)
  })

  const drawn = cases.filter(
    ({ strength, checkpoint, negative_prompt, guidance_rescale }) =>
      strength === null && checkpoint !== 'tiny-lcm' && negative_prompt !== null && guidance_rescale === 0,
  )

  it.each(drawn)('$name', async (request) => {
    const { data } = await fal.subscribe('fal-ai/lora', { input: inputOf(request), pollInterval: 50 })
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
    const { data } = await fal.subscribe('fal-ai/lora', { input, pollInterval: 50 })
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
    const { data } = await fal.subscribe('fal-ai/lora', { input, pollInterval: 50 })
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
      const failed = fal.subscribe('fal-ai/lora', { input, pollInterval: 50 })
      await expect(failed).rejects.toMatchObject({ status: 422, body: { detail: expect.stringMatching(message) } })
    }
  })
})

function inputOf(request: PipelineCase): Record<string, unknown> & LoraInput {
  return {
    model_name: `checkpoints/${request.checkpoint}`,
    prompt: request.prompt,
    negative_prompt: request.negative_prompt,
    image_size: { width: request.width, height: request.height },
    num_inference_steps: request.steps,
    guidance_scale: request.guidance_scale,
    scheduler: request.scheduler,
    eta: request.eta,
    clip_skip: request.clip_skip,
    seed: BigInt(request.seed) < 2n ** 53n ? Number(request.seed) : request.seed,
    num_images: request.num_images,
    prediction_type: request.prediction_type,
    ...(request.timesteps && { timesteps: { method: 'array', array: request.timesteps } }),
    ...(request.sigmas && { sigmas: { method: 'array', array: request.sigmas } }),
    debug_latents: true,
    debug_per_pass_latents: true,
  }
}

interface LoraInput {
  readonly model_name: string
  readonly prompt: string
}

async function dataUri(image: RgbImage): Promise<string> {
  return `data:image/png;base64,${Buffer.from(await encodeImage(image, 'png')).toString('base64')}`
}

async function conditionedInput(request: ConditioningCase): Promise<Record<string, unknown> & LoraInput> {
  const { width, height, ic_light } = request
  const controlnets = request.controlnets.map(async (control) => ({
    path: `conditioning/${control.model}`,
    control_image_url: await dataUri(picture(control.image, 60, 60)),
    ...(control.mask !== null && { mask_url: await dataUri(maskPicture(control.mask, 60, 60)) }),
    conditioning_scale: control.scale,
    start_percentage: control.start,
    end_percentage: control.end,
    ip_adapter_index: control.tokens,
  }))
  const adapters = request.image_prompts.map(async (prompt) => {
    const images = await Promise.all((prompt.images ?? []).map((seed) => dataUri(picture(seed, 40, 30))))
    return {
      path: `conditioning/${prompt.adapter}.safetensors`,
      ip_adapter_image_url: images.length === 1 ? images[0] : images,
      ...(prompt.masks && { ip_adapter_mask_url: await dataUri(maskPicture(prompt.masks[0] as string, 50, 50)) }),
      scale: prompt.scale,
      scale_json: prompt.scale_json,
    }
  })
  return {
    model_name: `checkpoints/${request.checkpoint}`,
    prompt: conditioningPrompts.prompt,
    negative_prompt: conditioningPrompts.negativePrompt,
    image_size: { width, height },
    num_inference_steps: request.steps,
    guidance_scale: request.guidance_scale,
    scheduler: request.scheduler,
    clip_skip: request.clip_skip,
    seed: request.seed,
    controlnets: await Promise.all(controlnets),
    controlnet_guess_mode: request.guess_mode,
    ip_adapter: await Promise.all(adapters),
    image_encoder_path: 'conditioning/image-encoder',
    ...(ic_light && {
      ic_light_model_url: `conditioning/${ic_light.model}.safetensors`,
      ic_light_image_url: await dataUri(picture(ic_light.image, 50, 41)),
      ...(ic_light.background !== null && {
        ic_light_model_background_image_url: await dataUri(picture(ic_light.background, 50, 41)),
      }),
    }),
    debug_latents: true,
  }
}
