import { resizeLinear } from '../image/affine.ts'
import type { RgbImage } from '../image/rgb-image.ts'

/** A picture in the upper left corner of a canvas. */
export interface Letterboxed {
  readonly image: RgbImage
  /** Canvas pixels per picture pixel. */
  readonly scale: number
}

/** Sizes are rounded down by the caller's rule, but never to nothing, as a picture of 1 × 2,000 would be. */
export function letterbox(
  image: RgbImage,
  canvas: { readonly width: number; readonly height: number },
  fitted: { readonly width: number; readonly height: number; readonly scale: number },
  fill: number,
): Letterboxed {
  const small = resizeLinear(image, Math.max(1, fitted.width), Math.max(1, fitted.height))
  const data = new Uint8Array(canvas.width * canvas.height * 3).fill(fill)
  for (let y = 0; y < small.height; y++) {
    data.set(small.data.subarray(y * small.width * 3, (y + 1) * small.width * 3), y * canvas.width * 3)
  }
  return { image: { ...canvas, data }, scale: fitted.scale }
}
