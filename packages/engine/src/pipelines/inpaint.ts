import { extraChannels } from '../adapters/extra-channels.ts'
import { binarize, rgbToGrey } from '../image/grey.ts'
import { rgbToTensor } from '../image/picture-tensor.ts'
import type { GreyImage, RgbImage } from '../image/rgb-image.ts'
import type { Scheduler } from '../schedulers/scheduler.ts'
import { startIndex } from '../schedulers/start-index.ts'
import { defined } from '../tensor/defined.ts'
import { concatenate, type FloatTensor, float32, map } from '../tensor/tensor.ts'
import { type DenoiseStep, drawImages, type GeneratedImage, requireDrawableSize, type Start } from './draw-images.ts'
import type { ImageToImageParameters } from './image-to-image.ts'
import { ParameterError } from './parameter-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

export interface InpaintParameters extends ImageToImageParameters {
  /** White is drawn anew, black is kept (the grey value's half decides); of the picture's size. */
  readonly mask: RgbImage
}

/** Channels of a UNet trained to inpaint: the latents, the mask, and the latents of what is kept. */
const MASK_CHANNELS = 1

/**
 * Redraws a part of a picture: StableDiffusionInpaintPipeline and its SDXL sibling. A UNet that was trained for it is shown the mask and what
 * is kept; with any other, what is kept is put back, noised, after each step.
 * Draws per picture: the picture's posterior sample (not for a trained UNet at strength 1), the noise, the sample of what is kept, then
 * each step's.
 * @throws ParameterError for sizes the VAE cannot make, or a UNet of another kind
 */
export async function* inpaint(
  model: StableDiffusion,
  parameters: InpaintParameters,
  signal?: AbortSignal,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  const { image, strength } = parameters
  const { width, height } = image
  const { vae } = model
  requireDrawableSize('image', image, vae.factor)
  if (parameters.mask.width !== width || parameters.mask.height !== height) {
    throw new ParameterError('mask', `must have the picture's size ${width}×${height}`)
  }
  const isTrained = takesMask(model)
  const mask = binarize(rgbToGrey(parameters.mask))
  const posterior = await vae.encode(rgbToTensor(image, 'signed'))
  const keptPosterior = await vae.encode(keptPart(image, mask))
  const latentMask = downsample(mask, vae.factor)
  return yield* drawImages(model, parameters, { width, height, signal }, async (scheduler, drawNoise) => {
    const first = startIndex(scheduler, strength)
    const shape = posterior.mean.shape
    const original = isTrained && strength === 1 ? undefined : vae.sample(posterior, drawNoise(shape))
    const noise = drawNoise(shape)
    const sigma = Math.fround(scheduler.initNoiseSigma)
    const latents =
      strength === 1 || !original ? map((value) => value * sigma, noise) : scheduler.addNoise(original, noise, first)
    const kept = vae.sample(keptPosterior, drawNoise(shape))
    const start: Start = { latents, startIndex: first }
    if (isTrained) return { ...start, adapters: [extraChannels(concatenate([latentMask, kept], 1))] }
    return { ...start, afterStep: putBack(scheduler, defined(original), noise, latentMask) }
  })
}

function takesMask({ unet, vae }: StableDiffusion): boolean {
  const { inChannels } = unet.config
  if (inChannels === vae.latentChannels) return false
  if (inChannels === 2 * vae.latentChannels + MASK_CHANNELS) return true
  throw new ParameterError('model', `its UNet takes ${inChannels} channels, which is no inpainting model's number`)
}

/** The picture in −1 … 1 with 0 (grey) where it is drawn anew, [1, 3, H, W]. */
function keptPart(image: RgbImage, mask: GreyImage): FloatTensor {
  const tensor = rgbToTensor(image, 'signed')
  const plane = mask.data.length
  return float32(
    tensor.shape,
    tensor.data.map((value, i) => (mask.data[i % plane] === 0 ? value : 0)),
  )
}

/** The mask of the latents, [1, 1, h, w] of 0 and 1: every `factor`-th pixel, as torch's interpolate(mode="nearest"). */
function downsample({ width, height, data }: GreyImage, factor: number): FloatTensor {
  const [w, h] = [width / factor, height / factor]
  const small = Float32Array.from({ length: w * h }, (_, i) => {
    const [x, y] = [i % w, Math.floor(i / w)]
    return data[y * factor * width + x * factor] === 0 ? 0 : 1
  })
  return float32([1, 1, h, w], small)
}

/** What is kept, at the noise level of the next step, in place of what was drawn there. */
function putBack(
  scheduler: Scheduler,
  original: FloatTensor,
  noise: FloatTensor,
  mask: FloatTensor,
): NonNullable<Start['afterStep']> {
  const plane = mask.data.length
  return (latents, stepIndex) => {
    const isLast = stepIndex + 1 >= scheduler.timesteps.length
    const kept = isLast ? original : scheduler.addNoise(original, noise, stepIndex + 1)
    return float32(
      latents.shape,
      latents.data.map((value, i) => (mask.data[i % plane] === 0 ? defined(kept.data[i]) : value)),
    )
  }
}
