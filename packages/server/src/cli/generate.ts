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
  SCHEDULER_CLASS_NAMES,
  SCHEDULER_NAMES,
  type SchedulerChoice,
  type StableDiffusion,
  textToImage,
  writeSafetensors,
} from '@darkroom/engine'
import { type Config, preparedWeightsFolder } from '../config/config.ts'
import { readPicture, unetAdapters, withEmbeddings } from './generate-adapters.ts'
import { generateArithmetic } from './generate-arithmetic.ts'
import { checkGenerateOptions, type GenerateOptions, outputFormat, parseLora } from './generate-options.ts'
import { stepBar } from './progress.ts'

const DEFAULT_STEPS = 30
const DEFAULT_STRENGTH = 0.8

/** Guidance scales that diffusers' pipelines default to. */
const DEFAULT_GUIDANCE: Readonly<Record<StableDiffusion['kind'], number>> = {
  'stable-diffusion': 7.5,
  'stable-diffusion-xl': 5,
}

/** `darkroom generate`: one pipeline run without a server. */
export async function generate(options: GenerateOptions, config: Config, signal: AbortSignal): Promise<void> {
  await checkGenerateOptions(options, [...SCHEDULER_NAMES, ...SCHEDULER_CLASS_NAMES])
  const format = outputFormat(options.output)
  const arithmetic = await generateArithmetic(config, options.gpu, (line) => console.error(line))
  const engine = openEngine({ ...arithmetic, cacheFolder: preparedWeightsFolder(config), keepsIdle: false })
  try {
    const base = await loadStableDiffusion(engine, options.checkpoint, {
      signal,
      loras: options.lora.map(parseLora),
      ...(options.icLight !== undefined && { icLight: options.icLight }),
      onWarning: (message) => console.error(message),
      ...(options.vae !== undefined && { vae: options.vae }),
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
    ? imageToImage(model, { ...parameters, adapters, image, strength: options.strength ?? DEFAULT_STRENGTH }, signal)
    : textToImage(model, { ...parameters, adapters, width, height }, signal)
}

function generationParameters(model: StableDiffusion, options: GenerateOptions): GenerationParameters {
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
        : { numInferenceSteps: options.steps ?? DEFAULT_STEPS },
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

/** `x.png`; of several, `x-1.png`, `x-2.png`, … */
function outputPath(path: string, index: number, count: number): string {
  const extension = extname(path)
  return count === 1 ? path : `${path.slice(0, -extension.length)}-${index + 1}${extension}`
}
