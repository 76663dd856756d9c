import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import { cropCentre } from './crop.ts'
import type { ResampleFilter } from './resample-filter.ts'
import { resizeRgb } from './resize.ts'
import type { RgbImage } from './rgb-image.ts'

/** Pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** What a vision model's preprocessor_config.json says. */
export interface PixelValuesOptions {
  /** Size to resample to: both sides, whatever the picture's proportions, or the shorter one with the proportions kept. */
  readonly size: Size | { readonly shortestEdge: number }
  readonly filter: ResampleFilter
  /** The middle that is kept after resampling; absent: all of it. */
  readonly crop?: Size
  /** Multiplies the bytes, 1/255. */
  readonly rescaleFactor: number
  /** Subtracted from each channel, then divided by `std`. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** CLIPImageProcessor's defaults for a model that takes `side` × `side`. */
export function clipPixelValuesOptions(side: number): PixelValuesOptions {
  return {
    size: { shortestEdge: side },
    filter: 'bicubic',
    crop: { width: side, height: side },
    rescaleFactor: 1 / 255,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  }
}

/** ViTImageProcessor's defaults for a model that takes `side` × `side`: proportions are not kept, nothing is cut off. */
export function vitPixelValuesOptions(side: number): PixelValuesOptions {
  return {
    size: { width: side, height: side },
    filter: 'bilinear',
    rescaleFactor: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  }
}

/**
 * The tensor [1, 3, height, width] that a vision model takes of a picture, bit for bit as the Pillow back ends of transformers'
 * CLIPImageProcessor and ViTImageProcessor make it. The torchvision back ends resample to other bytes.
 *
 * @throws RangeError where the crop is larger than the resampled picture
 */
export function pixelValues(image: RgbImage, options: PixelValuesOptions): FloatTensor {
  const { width, height } = resampledSize(image, options.size)
  const resized = resizeRgb(image, width, height, options.filter)
  const { crop } = options
  return normalize(crop ? cropCentre(resized, crop.width, crop.height) : resized, options)
}

function resampledSize(image: Size, size: PixelValuesOptions['size']): Size {
  return 'width' in size ? size : sizeByShorterSide(image, size.shortestEdge)
}

/** Size of a picture whose shorter side becomes `short` pixels; the longer one is cut off, as transformers does. */
export function sizeByShorterSide({ width, height }: Size, short: number): Size {
  const long = Math.trunc((short * Math.max(width, height)) / Math.min(width, height))
  return width <= height ? { width: short, height: long } : { width: long, height: short }
}

function normalize(image: RgbImage, { rescaleFactor, mean, std }: PixelValuesOptions): FloatTensor {
  const plane = image.width * image.height
  const tensor = float32([1, 3, image.height, image.width])
  for (let channel = 0; channel < 3; channel++) {
    const [m, s] = [Math.fround(mean[channel] as number), Math.fround(std[channel] as number)]
    // Rounded to float32 after each of the three operations, as NumPy does; storing rounds the last one.
    const values = Float32Array.from(
      { length: 256 },
      (_, byte) => Math.fround(Math.fround(byte * rescaleFactor) - m) / s,
    )
    const start = channel * plane
    for (let i = 0; i < plane; i++) tensor.data[start + i] = values[image.data[i * 3 + channel] as number] as number
  }
  return tensor
}
