import type { RgbImage } from '../image/rgb-image.ts'
import { defined } from '../tensor/defined.ts'

/** Whole pixels: `left … right-1`, `top … bottom-1`. */
export interface Region {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/**
 * A part of a picture as float32 [3, height, width] in −1 … 1, each value the mean of the pixels it covers:
 * `torch.nn.functional.interpolate(mode="area")`, then (x − 127.5) / 128.
 */
export function averagePool(
  image: RgbImage,
  region: Region,
  size: { readonly width: number; readonly height: number },
): Float32Array {
  const columns = bins(region.left, region.right, size.width)
  const rows = bins(region.top, region.bottom, size.height)
  const plane = size.width * size.height
  const out = new Float32Array(3 * plane)
  for (const [y, [top, bottom]] of rows.entries()) {
    for (const [x, [left, right]] of columns.entries()) {
      let [red, green, blue] = [0, 0, 0]
      for (let row = top; row < bottom; row++) {
        let at = (row * image.width + left) * 3
        for (let column = left; column < right; column++, at += 3) {
          red += defined(image.data[at])
          green += defined(image.data[at + 1])
          blue += defined(image.data[at + 2])
        }
      }
      const count = (right - left) * (bottom - top)
      const i = y * size.width + x
      for (const [c, sum] of [red, green, blue].entries()) out[c * plane + i] = (sum / count - 127.5) * 0.0078125
    }
  }
  return out
}

/** What each place of the result covers; neighbours share a pixel where the sizes do not divide. */
function bins(start: number, end: number, count: number): [from: number, to: number][] {
  const length = end - start
  return Array.from({ length: count }, (_, i) => [
    start + Math.floor((i * length) / count),
    start + Math.ceil(((i + 1) * length) / count),
  ])
}
