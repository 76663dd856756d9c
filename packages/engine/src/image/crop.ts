import type { RgbImage } from './rgb-image.ts'

/**
 * The rectangle of `width` x `height` pixels whose top left corner is at (`left`, `top`).
 *
 * @throws RangeError where it leaves the picture
 */
export function crop(image: RgbImage, left: number, top: number, width: number, height: number): RgbImage {
  if (left < 0 || top < 0 || left + width > image.width || top + height > image.height) {
    throw new RangeError(
      `cannot crop ${width}x${height} at (${left}, ${top}) from a picture of ${image.width}x${image.height}`,
    )
  }
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3
    data.set(image.data.subarray(from, from + width * 3), y * width * 3)
  }
  return { width, height, data }
}

/** The middle of the picture; where the margin is odd the smaller part is left and above, as in transformers. */
export function cropCentre(image: RgbImage, width: number, height: number): RgbImage {
  return crop(image, Math.floor((image.width - width) / 2), Math.floor((image.height - height) / 2), width, height)
}
