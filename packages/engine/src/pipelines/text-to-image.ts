import { map } from '../tensor/tensor.ts'
import { type DenoiseStep, drawImages, type GeneratedImage, type GenerationParameters } from './draw-images.ts'
import { ParameterError } from './parameter-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

export interface TextToImageParameters extends GenerationParameters {
  /** Pixels; multiples of the VAE's factor. */
  readonly width: number
  readonly height: number
}

/**
 * Draws pictures from a prompt: StableDiffusionPipeline / StableDiffusionXLPipeline with one CPU generator per picture.
 * @throws ParameterError for sizes the VAE cannot make, SchedulerError for schedules the scheduler cannot
 */
export async function* textToImage(
  model: StableDiffusion,
  parameters: TextToImageParameters,
  signal?: AbortSignal,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  const { width, height } = parameters
  const { factor, latentChannels } = model.vae
  for (const [name, size] of Object.entries({ width, height })) {
    if (!Number.isInteger(size) || size < factor || size % factor !== 0) {
      throw new ParameterError(name, `must be a positive multiple of ${factor} for this checkpoint, got ${size}`)
    }
  }
  return yield* drawImages(model, parameters, { width, height, signal }, async (scheduler, drawNoise) => {
    const noise = drawNoise([1, latentChannels, height / factor, width / factor])
    const sigma = Math.fround(scheduler.initNoiseSigma)
    return { latents: map((value) => value * sigma, noise), startIndex: 0 }
  })
}
