import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import { cropCentre } from './crop.ts'
import type { ResampleFilter } from './resample-filter.ts'
import { resizeRgb } from './resize.ts'
import type { RgbImage } from './rgb-image.ts'

/** How a vision model wants its pictures: the fields of transformers' preprocessor_config.json that matter here. */
export interface ImagePreprocessing {
  /** Side of the square that the model sees, in pixels. */
  readonly size: number
  /** Whether the shorter side is brought to `size` and the middle cut out, or both sides are brought to `size`. */
  readonly keepsAspectRatio: boolean
  readonly filter: ResampleFilter
  readonly mean: readonly [red: number, green: number, blue: number]
  readonly std: readonly [red: number, green: number, blue: number]
}

/** transformers' `CLIPImageProcessor`: the safety checker and IP-Adapter's image encoder. */
export const CLIP_PREPROCESSING: ImagePreprocessing = {
  size: 224,
  keepsAspectRatio: true,
  filter: 'bicubic',
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
}

/** transformers' `ViTImageProcessor`: the classifier of unsafe pictures. */
export const VIT_PREPROCESSING: ImagePreprocessing = {
  size: 224,
  keepsAspectRatio: false,
  filter: 'bilinear',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
}

/**
 * The `pixel_values` [1, 3, size, size] of a picture, bit for bit as transformers' Pillow-backed image processors make
 * them; those on torchvision resize with another filter.
 */
export function preprocessImage(image: RgbImage, preprocessing: ImagePreprocessing): FloatTensor {
  const { size, keepsAspectRatio, filter } = preprocessing
  if (!keepsAspectRatio) return normalize(resizeRgb(image, size, size, filter), preprocessing)
  const shortestEdge = Math.min(image.width, image.height)
  const side = (pixels: number) => Math.floor((size * pixels) / shortestEdge)
  const resized = resizeRgb(image, side(image.width), side(image.height), filter)
  return normalize(cropCentre(resized, size, size), preprocessing)
}

function normalize({ width, height, data }: RgbImage, { mean, std }: ImagePreprocessing): FloatTensor {
  const plane = width * height
  const tensor = float32([1, 3, height, width])
  for (const channel of [0, 1, 2] as const) {
    const values = normalizedBytes(mean[channel], std[channel])
    const start = channel * plane
    for (let i = 0; i < plane; i++) tensor.data[start + i] = values[data[i * 3 + channel] as number] as number
  }
  return tensor
}

/** `(byte * (1/255) - mean) / std` with numpy's roundings: the product in double, all else in float32. */
function normalizedBytes(mean: number, std: number): Float32Array {
  const { fround } = Math
  return Float32Array.from({ length: 256 }, (_, byte) => fround(fround(byte * (1 / 255)) - fround(mean)) / fround(std))
}
