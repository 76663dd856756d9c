import { rgbToTensor } from '../image/picture-tensor.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { startIndex } from '../schedulers/start-index.ts'
import {
  type DenoiseStep,
  drawImages,
  type GeneratedImage,
  type GenerationParameters,
  requireDrawableSize,
} from './draw-images.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

export interface ImageToImageParameters extends GenerationParameters {
  /** The picture to start from; its sides are multiples of the VAE's factor, and the result has its size. */
  readonly image: RgbImage
  /** How much of it is drawn anew, 0…1. */
  readonly strength: number
}

/**
 * Redraws a picture: StableDiffusionImg2ImgPipeline (the last int(N · strength) of N steps), or, for UNets distilled with a
 * guidance embedding, LatentConsistencyModelImg2ImgPipeline (all N steps on a schedule shortened by the strength).
 * Draws per picture: the VAE posterior's sample, then the noise, then each step's.
 */
export async function* imageToImage(
  model: StableDiffusion,
  parameters: ImageToImageParameters,
  signal?: AbortSignal,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  const { image, strength } = parameters
  const { width, height } = image
  requireDrawableSize('image', image, model.vae.factor)
  const shortenSchedule = model.unet.timeCondProjDim !== undefined
  const scheduleOptions = shortenSchedule ? { strength } : {}
  const posterior = await model.vae.encode(rgbToTensor(image, 'signed'))
  return yield* drawImages(
    model,
    parameters,
    { width, height, signal, scheduleOptions },
    async (scheduler, drawNoise) => {
      const first = shortenSchedule ? 0 : startIndex(scheduler, strength)
      const original = model.vae.sample(posterior, drawNoise(posterior.mean.shape))
      return { latents: scheduler.addNoise(original, drawNoise(original.shape), first), startIndex: first }
    },
  )
}
