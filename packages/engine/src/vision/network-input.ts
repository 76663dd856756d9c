import type { RgbImage } from '../image/rgb-image.ts'
import { defined } from '../tensor/defined.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'

export interface Normalization {
  /** Subtracted from each channel's 0 … 255, in the order of `channels`. */
  readonly mean: readonly [number, number, number]
  /** Divides what is left. */
  readonly std: readonly [number, number, number]
  /** Default `rgb`. */
  readonly channels?: 'rgb' | 'bgr'
}

/** A picture as the tensor [1, 3, height, width] that a network takes. */
export function networkInput({ width, height, data }: RgbImage, { mean, std, channels }: Normalization): FloatTensor {
  const plane = width * height
  const tensor = float32([1, 3, height, width])
  for (let c = 0; c < 3; c++) {
    const from = channels === 'bgr' ? 2 - c : c
    const [shift, scale] = [defined(mean[c]), defined(std[c])]
    for (let i = 0; i < plane; i++) tensor.data[c * plane + i] = (defined(data[i * 3 + from]) - shift) / scale
  }
  return tensor
}
