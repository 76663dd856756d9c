import { join } from 'node:path'
import type { ScaledLora } from '../../src/adapters/lora.ts'
import type { UNetInput } from '../../src/adapters/unet-adapter.ts'
import { openComponent } from '../../src/checkpoint/checkpoint.ts'
import { openWeightFile } from '../../src/checkpoint/component-weights.ts'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import { greyToRgb } from '../../src/image/grey.ts'
import type { RgbImage } from '../../src/image/rgb-image.ts'
import { applyControlNets } from '../../src/pipelines/apply-controlnets.ts'
import { applyEmbeddings } from '../../src/pipelines/apply-embeddings.ts'
import { applyIcLight } from '../../src/pipelines/apply-ic-light.ts'
import { type AppliedImagePrompts, applyImagePrompts } from '../../src/pipelines/apply-image-prompts.ts'
import { applyLoras, sortLoras } from '../../src/pipelines/apply-loras.ts'
import { loadControlNet } from '../../src/pipelines/controlnet.ts'
import type { GenerationParameters } from '../../src/pipelines/draw-images.ts'
import type { Engine } from '../../src/pipelines/engine.ts'
import { loadImageEncoder } from '../../src/pipelines/image-encoder.ts'
import { imageToImage } from '../../src/pipelines/image-to-image.ts'
import { loadIPAdapter } from '../../src/pipelines/ip-adapter.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { TorchGenerator } from '../../src/random/torch-generator.ts'
import type { SchedulerName } from '../../src/schedulers/from-config.ts'
import { type FloatTensor, float32 } from '../../src/tensor/tensor.ts'
import golden from './data/conditioning/pipelines.json' with { type: 'json' }
import { finished } from './finished.ts'
import { DATA } from './model-case.ts'

const EMBEDDING = join(DATA, 'textual-inversion/diffusers.safetensors')
const FOLDER = join(DATA, 'conditioning')

/** One request that scripts/golden/conditioning.py drew. */
export type ConditioningCase = (typeof golden.cases)[number]

export const conditioningCases: readonly ConditioningCase[] = golden.cases

export const conditioningPrompts = { prompt: golden.prompt, negativePrompt: golden.negative_prompt }

/** Final latents, [1, C, h, w]. */
export async function expectedLatents(name: string): Promise<FloatTensor> {
  return readTensor(await readSafetensors(join(FOLDER, 'pipelines.safetensors')), name)
}

/** What an IC-Light case shows the UNet beside one sample of latents, [1, C, h, w]. */
export async function icLightChannels(engine: Engine, request: ConditioningCase): Promise<FloatTensor> {
  const { width, height } = request
  const adapter = await applyIcLight(await loadModel(engine, request), icLightPictures(request), { width, height })
  const window = { top: 0, left: 0, height: height / 4, width: width / 4 }
  const input = { sample: float32([1, 4, window.height, window.width]) } as UNetInput
  return (await adapter.channels?.(input, { step: 0, steps: 1, latentSize: window, window })) as FloatTensor
}

function loadModel(engine: Engine, { checkpoint, ic_light }: ConditioningCase): Promise<StableDiffusion> {
  return loadStableDiffusion(engine, join(DATA, 'checkpoints', checkpoint), {
    ...(ic_light && { icLight: join(FOLDER, `${ic_light.model}.safetensors`) }),
  })
}

function icLightPictures({ ic_light }: ConditioningCase) {
  if (!ic_light) throw new Error('a case without IC-Light')
  const { image, background } = ic_light
  return { image: picture(image, 50, 41), ...(background !== null && { background: picture(background, 50, 41) }) }
}

/** Draws a case with this engine; models are loaded anew for each, their sessions are shared. */
export async function drawConditioned(engine: Engine, request: ConditioningCase): Promise<FloatTensor> {
  const { width, height, tile } = request
  const base = await loadModel(engine, request)
  const model = request.embedding ? await applyEmbeddings(base, [{ path: EMBEDDING }]) : base
  const images = request.image_prompts.length > 0 ? await imagePrompts(engine, model, request) : undefined
  const controls = request.controlnets.length > 0 ? [await controlNets(engine, model, request, images?.applied)] : []
  const loras = await sortLoras(model, request.loras.map(loraFile))
  const beside = [...loras.beside, ...(images?.loras ?? [])]
  const { unet, textEncoders } = await applyLoras(model, beside)
  const adapters = [
    ...(unet ?? []),
    ...controls,
    ...(images ? [images.applied.adapter] : []),
    ...(request.ic_light ? [await applyIcLight(model, icLightPictures(request), { width, height })] : []),
  ]
  const parameters: GenerationParameters = {
    prompt: golden.prompt,
    negativePrompt: golden.negative_prompt,
    scheduler: { name: request.scheduler as SchedulerName },
    schedule: { numInferenceSteps: request.steps },
    guidanceScale: request.guidance_scale,
    clipSkip: request.clip_skip,
    seed: BigInt(request.seed),
    adapters: { unet: adapters, ...(textEncoders && { textEncoders }) },
    ...(tile && { tiling: tilingOf(tile as [number, number, number, number]) }),
  }
  const { strength } = request
  const run =
    strength === null
      ? textToImage(model, { ...parameters, width, height })
      : imageToImage(model, { ...parameters, image: picture(7, width, height), strength })
  return (await finished(run))[0]?.latents as FloatTensor
}

function loraFile([name, scale]: readonly (string | number)[]) {
  return { path: join(DATA, `lora/${name}.safetensors`), scale: Number(scale) }
}

function tilingOf([tileWidth, tileHeight, tileStrideWidth, tileStrideHeight]: [number, number, number, number]) {
  return { tileWidth, tileHeight, tileStrideWidth, tileStrideHeight }
}

async function controlNets(
  engine: Engine,
  model: StableDiffusion,
  request: ConditioningCase,
  images: AppliedImagePrompts | undefined,
) {
  const controlnets = []
  for (const control of request.controlnets) {
    const tokens = control.tokens === null ? undefined : images?.tokens[control.tokens]
    controlnets.push({
      model: await loadControlNet(engine, await openComponent(join(FOLDER, control.model), 'controlnet')),
      image: picture(control.image, 60, 60),
      conditioningScale: control.scale,
      startPercentage: control.start,
      endPercentage: control.end,
      ...(control.mask !== null && { mask: maskPicture(control.mask, 60, 60) }),
      ...(tokens && { tokens }),
    })
  }
  const { width, height, guess_mode: guessMode } = request
  return applyControlNets(model, controlnets, { width, height, guessMode })
}

async function imagePrompts(engine: Engine, model: StableDiffusion, request: ConditioningCase) {
  const encoder = await loadImageEncoder(engine, await openComponent(join(FOLDER, 'image-encoder'), 'image_encoder'))
  const prompts = []
  const loras: ScaledLora[] = []
  for (const prompt of request.image_prompts) {
    const path = join(FOLDER, `${prompt.adapter}.safetensors`)
    const component = { name: 'ip_adapter', weights: () => openWeightFile('ip_adapter', path) }
    const { adapter, lora } = await loadIPAdapter(engine, model.unet.config, component)
    if (lora) loras.push({ lora })
    const faceSize = prompt.adapter.startsWith('instantid') ? 12 : 14
    prompts.push({
      adapter,
      encoder,
      images: (prompt.images ?? []).map((seed) => picture(seed, 40, 30)),
      ...(prompt.faces && {
        faceEmbeddings: prompt.faces.map((seed) => new TorchGenerator(BigInt(seed)).randn([faceSize])),
      }),
      ...(prompt.masks && { masks: prompt.masks.map((name) => maskPicture(name, 50, 50)) }),
      averaged: prompt.averaged,
      maskResampling: prompt.resampling as 'bicubic' | 'nearest',
      scale: prompt.scale,
      ...(prompt.scale_json && { scaleByBlock: prompt.scale_json }),
      projectionShortcut: prompt.shortcut,
    })
  }
  return { applied: await applyImagePrompts(model, prompts, request), loras }
}

/** The pictures and masks of the script, computed from integers. */
export function picture(seed: number, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) {
    const [channel, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    data[i] = (x * (3 + channel + seed) + y * (5 + 2 * channel) + 31 * seed * (channel + 1)) % 256
  }
  return { width, height, data }
}

export function maskPicture(name: string, width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)]
    const face = 4 * x >= width && 5 * x < 3 * width && 3 * y >= height && 8 * y < 7 * height
    return { left: 2 * x < width, right: 2 * x >= width, top: 3 * y < height, face }[name] ? 255 : 0
  })
  return greyToRgb({ width, height, data })
}
