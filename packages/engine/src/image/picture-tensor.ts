import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { GreyImage, RgbImage } from './rgb-image.ts'

/**
 * What 0 … 255 becomes: [0, 1] for control images and classifiers, [-1, 1] for a VAE, or −1 … 1.008 with grey 127 at exactly 0 for
 * IC-Light's pictures.
 */
export type ValueRange = 'unit' | 'signed' | 'signed-127'

/** The float32 of each byte, with diffusers' two roundings: `2 * (byte / 255) - 1`. */
const FLOAT_OF_BYTE: Readonly<Record<ValueRange, Float32Array>> = {
  unit: Float32Array.from({ length: 256 }, (_, byte) => byte / 255),
  signed: Float32Array.from({ length: 256 }, (_, byte) => 2 * Math.fround(byte / 255) - 1),
  'signed-127': Float32Array.from({ length: 256 }, (_, byte) => Math.fround(byte / 127) - 1),
}

/** The tensor [1, 3, height, width] of a picture, as diffusers' `VaeImageProcessor.preprocess` makes it. */
export function rgbToTensor(image: RgbImage, range: ValueRange): FloatTensor {
  const plane = image.width * image.height
  const tensor = float32([1, 3, image.height, image.width])
  const values = FLOAT_OF_BYTE[range]
  for (let channel = 0; channel < 3; channel++) {
    const start = channel * plane
    for (let i = 0; i < plane; i++) tensor.data[start + i] = values[image.data[i * 3 + channel] as number] as number
  }
  return tensor
}

/** The tensor [1, 1, height, width] of a one-channel picture. */
export function greyToTensor(image: GreyImage, range: ValueRange): FloatTensor {
  const values = FLOAT_OF_BYTE[range]
  return float32(
    [1, 1, image.height, image.width],
    Float32Array.from(image.data, (byte) => values[byte] as number),
  )
}

/**
 * The pictures of decoded VAE output [batch, 3, height, width] in about [-1, 1], byte for byte as diffusers'
 * `VaeImageProcessor.postprocess`: `clamp(y * 0.5 + 0.5, 0, 1) * 255` in float32, halves rounded to even. NaN is black.
 *
 * @throws RangeError for any other shape
 */
export function tensorToRgb(decoded: FloatTensor): RgbImage[] {
  const [batch, channels, height, width] = decoded.shape
  if (decoded.shape.length !== 4 || channels !== 3 || batch === undefined) {
    throw new RangeError(`decoded pictures are [batch, 3, height, width], got [${decoded.shape}]`)
  }
  const size = { width: width as number, height: height as number }
  return Array.from({ length: batch }, (_, index) => ({ ...size, data: interleave(decoded.data, size, index) }))
}

function interleave(data: Float32Array, { width, height }: { width: number; height: number }, index: number) {
  const plane = width * height
  // Storing into this array clamps to 0 … 255 and rounds halves to even (ECMAScript ToUint8Clamp).
  const out = new Uint8ClampedArray(plane * 3)
  for (let channel = 0; channel < 3; channel++) {
    const start = (index * 3 + channel) * plane
    for (let i = 0; i < plane; i++) {
      out[i * 3 + channel] = Math.fround(Math.fround((data[start + i] as number) * 0.5 + 0.5) * 255)
    }
  }
  return new Uint8Array(out.buffer)
}
