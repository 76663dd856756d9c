import { resizeLinear } from '../image/affine.ts'
import type { RgbImage } from '../image/rgb-image.ts'

/** A picture on a canvas. */
export interface Letterboxed {
  readonly image: RgbImage
  /** Canvas pixels per picture pixel. */
  readonly scale: number
}

/** Where a picture goes on a canvas. */
export interface Fitted {
  /** Sizes are rounded down by the caller's rule, but never to nothing, as a picture of 1 × 2,000 would be. */
  readonly width: number
  readonly height: number
  readonly scale: number
  /** Default 0. */
  readonly left?: number
  readonly top?: number
}

export function letterbox(
  image: RgbImage,
  canvas: { readonly width: number; readonly height: number },
  { width, height, scale, left = 0, top = 0 }: Fitted,
  fill: number,
): Letterboxed {
  const small = resizeLinear(image, Math.max(1, width), Math.max(1, height))
  const data = new Uint8Array(canvas.width * canvas.height * 3).fill(fill)
  for (let y = 0; y < small.height; y++) {
    data.set(small.data.subarray(y * small.width * 3, (y + 1) * small.width * 3), ((top + y) * canvas.width + left) * 3)
  }
  return { image: { ...canvas, data }, scale }
}
