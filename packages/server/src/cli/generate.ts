import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { extname } from 'node:path'
import {
  concatenate,
  type DenoiseStep,
  type Engine,
  encodeImage,
  type GeneratedImage,
  type GenerationParameters,
  imageToImage,
  loadStableDiffusion,
  openEngine,
  type SchedulerChoice,
  type StableDiffusion,
  type Tiling,
  textToImage,
  writeSafetensors,
} from '@darkroom/engine'
import { type AdapterOptions, readPicture, unetAdapters, withEmbeddings } from './generate-adapters.ts'
import { stepBar } from './progress.ts'
import { UserError } from './user-error.ts'

export interface GenerateOptions extends AdapterOptions {
  readonly checkpoint: string
  readonly prompt: string
  readonly negativePrompt?: string
  readonly seed?: bigint
  readonly steps: number
  readonly timesteps?: readonly number[]
  readonly sigmas?: readonly number[]
  readonly guidance?: number
  readonly guidanceRescale: number
  readonly scheduler?: string
  readonly predictionType?: string
  readonly eta: number
  readonly clipSkip: number
  readonly width?: number
  readonly height?: number
  readonly numImages: number
  readonly image?: string
  readonly strength: number
  readonly lora: readonly string[]
  readonly icLight?: string
  readonly promptWeighting?: boolean
  readonly tile?: Tiling
  readonly variant?: string
  readonly tokenizer?: string
  readonly output: string
  readonly latents?: string
  /** Where prepared weights are kept between runs. */
  readonly cacheFolder: string
}

/** Guidance scales that diffusers' pipelines default to. */
const DEFAULT_GUIDANCE: Readonly<Record<StableDiffusion['kind'], number>> = {
  'stable-diffusion': 7.5,
  'stable-diffusion-xl': 5,
}

/** `darkroom generate`: one pipeline run without a server. */
export async function generate(options: GenerateOptions, signal: AbortSignal): Promise<void> {
  const format = outputFormat(options.output)
  const engine = openEngine({ cacheFolder: options.cacheFolder, keepsIdle: false })
  try {
    const base = await loadStableDiffusion(engine, options.checkpoint, {
      signal,
      loras: options.lora.map(parseLora),
      ...(options.icLight !== undefined && { icLight: options.icLight }),
      onWarning: (message) => console.error(message),
      ...(options.variant !== undefined && { variant: options.variant }),
      ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
    })
    const model = await withEmbeddings(base, options.embedding)
    const images = await draw(engine, model, options, signal)
    const paths = images.map((_, i) => outputPath(options.output, i, images.length))
    for (const [i, { image }] of images.entries()) {
      await writeFile(paths[i] as string, await encodeImage(image, format))
    }
    if (options.latents !== undefined) {
      await writeSafetensors(options.latents, { latents: concatenate(images.map(({ latents }) => latents)) })
    }
    console.log(`${paths.join(', ')}  seed ${images.map(({ seed }) => seed).join(', ')}`)
  } finally {
    await engine.dispose()
  }
}

async function draw(
  engine: Engine,
  model: StableDiffusion,
  options: GenerateOptions,
  signal: AbortSignal,
): Promise<GeneratedImage[]> {
  const run = await startGeneration(engine, model, options, signal)
  const bar = stepBar()
  try {
    for (;;) {
      const next = await run.next()
      if (next.done) return next.value
      bar.update(next.value.imageIndex * next.value.steps + next.value.step + 1, next.value.steps * options.numImages)
    }
  } finally {
    bar.stop()
  }
}

async function startGeneration(
  engine: Engine,
  model: StableDiffusion,
  options: GenerateOptions,
  signal: AbortSignal,
): Promise<AsyncGenerator<DenoiseStep, GeneratedImage[]>> {
  const parameters = generationParameters(model, options)
  const image = options.image === undefined ? undefined : await readPicture(options.image)
  const { width = model.defaultSize.width, height = model.defaultSize.height } = image ?? options
  const adapters = { unet: await unetAdapters(engine, model, options, { width, height }) }
  return image
    ? imageToImage(model, { ...parameters, adapters, image, strength: options.strength }, signal)
    : textToImage(model, { ...parameters, adapters, width, height }, signal)
}

function generationParameters(model: StableDiffusion, options: GenerateOptions): GenerationParameters {
  if (options.timesteps && options.sigmas) {
    throw new UserError('give --timesteps or --sigmas, not both')
  }
  return {
    prompt: options.prompt,
    ...(options.negativePrompt !== undefined && { negativePrompt: options.negativePrompt }),
    scheduler: {
      ...(options.scheduler !== undefined && { name: options.scheduler as NonNullable<SchedulerChoice['name']> }),
      ...(options.predictionType !== undefined && { overrides: { prediction_type: options.predictionType } }),
    },
    schedule: options.timesteps
      ? { timesteps: options.timesteps }
      : options.sigmas
        ? { sigmas: options.sigmas }
        : { numInferenceSteps: options.steps },
    guidanceScale: options.guidance ?? DEFAULT_GUIDANCE[model.kind],
    guidanceRescale: options.guidanceRescale,
    eta: options.eta,
    clipSkip: options.clipSkip,
    seed: options.seed ?? BigInt(randomInt(2 ** 32)),
    numImages: options.numImages,
    promptWeighting: options.promptWeighting ?? false,
    onWarning: (message) => console.error(message),
    ...(options.tile && { tiling: options.tile }),
  }
}

/** `path` or `path:scale`. */
function parseLora(text: string): { path: string; scale: number } {
  const match = /^(.*?)(?::(-?\d+(?:\.\d+)?))?$/.exec(text)
  return { path: match?.[1] ?? text, scale: Number(match?.[2] ?? 1) }
}

function outputFormat(path: string): 'png' | 'jpeg' {
  const extension = extname(path).toLowerCase()
  if (extension === '.png') return 'png'
  if (extension === '.jpg' || extension === '.jpeg') return 'jpeg'
  throw new UserError(`--output ${path}: expected a name that ends in .png, .jpg or .jpeg`)
}

/** `x.png`; of several, `x-1.png`, `x-2.png`, … */
function outputPath(path: string, index: number, count: number): string {
  const extension = extname(path)
  return count === 1 ? path : `${path.slice(0, -extension.length)}-${index + 1}${extension}`
}
