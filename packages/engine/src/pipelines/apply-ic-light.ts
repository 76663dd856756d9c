import { extraChannels } from '../adapters/extra-channels.ts'
import type { UNetAdapter } from '../adapters/unet-adapter.ts'
import { crop } from '../image/crop.ts'
import { rgbToTensor } from '../image/picture-tensor.ts'
import type { Size } from '../image/pixel-values.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import { concatenate, type FloatTensor } from '../tensor/tensor.ts'
import { ParameterError } from './parameter-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

export interface IcLightParameters {
  /** What is lit anew; where its surroundings do not matter they are grey (127). Resized and cropped to the drawn picture's size. */
  readonly image: RgbImage
  /** What it stands before; models with background (fbc) alone take it, and need it. */
  readonly background?: RgbImage
}

/** Channels that an IC-Light model takes beside the latents: the picture's latents, or the picture's and the background's. */
export function icLightPictures({ unet, vae }: StableDiffusion): number {
  const extra = unet.config.inChannels - vae.latentChannels
  if (extra > 0 && extra % vae.latentChannels === 0) return extra / vae.latentChannels
  throw new ParameterError(
    'ic_light',
    `the model was loaded without IC-Light: its UNet takes ${unet.config.inChannels} channels`,
  )
}

/**
 * What shows an IC-Light model (`LoadOptions.icLight`) its pictures (lllyasviel/IC-Light, gradio_demo.py and gradio_demo_bg.py): their latents,
 * the most likely ones, beside the noisy latents at every step and for both halves of the guidance.
 * @throws ParameterError for a model without IC-Light, or a background that it lacks or does not take
 */
export async function applyIcLight(
  model: StableDiffusion,
  { image, background }: IcLightParameters,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<UNetAdapter> {
  const pictures = icLightPictures(model)
  if (pictures === 1 && background) {
    throw new ParameterError('ic_light_background', 'this IC-Light model takes no background; fbc is the one that does')
  }
  if (pictures === 2 && !background)
    throw new ParameterError('ic_light_background', 'this IC-Light model needs a background')
  const latents: FloatTensor[] = []
  for (const picture of [image, ...(background ? [background] : [])]) {
    const pixels = rgbToTensor(resizeAndCrop(picture, width, height), 'signed-127')
    latents.push(model.vae.scale((await model.vae.encode(pixels)).mean))
  }
  return extraChannels(concatenate(latents, 1))
}

/** The size of a picture's proportions that just covers width × height; a picture that has it keeps it. */
export function coveringSize(image: Size, width: number, height: number): Size {
  const scale = Math.max(width / image.width, height / image.height)
  return { width: roundHalfEven(image.width * scale), height: roundHalfEven(image.height * scale) }
}

/** The middle of the picture at the size that just covers width × height; rounded as Python and Pillow do. */
export function resizeAndCrop(image: RgbImage, width: number, height: number): RgbImage {
  const { width: w, height: h } = coveringSize(image, width, height)
  const resized = resizeRgb(image, w, h, 'lanczos')
  return crop(resized, roundHalfEven((w - width) / 2), roundHalfEven((h - height) / 2), width, height)
}
