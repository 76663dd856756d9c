import type { GreyImage, RgbImage } from '../image/rgb-image.ts'

/** tan 22.5° in 15-bit fixed point. */
const TANGENT = 13573

/** What a pixel is while edges are traced. */
const WEAK = 1
const STRONG = 2

/**
 * The edges of a picture, 255 on 0: `cv2.Canny(image, low, high)` (aperture 3, L1 norm), equal in every pixel. Each pixel takes the
 * gradient of its steepest channel; of equally steep ones the first in the order blue, green, red, in which OpenCV loads pictures.
 * @param low whole number; edges above it count where they join one above `high`
 */
export function cannyEdges(image: RgbImage, low = 100, high = 200): GreyImage {
  const gradients = steepestGradients(image)
  const kinds = suppressNonMaxima(gradients, low, high)
  traceEdges(kinds, image.width + 2)
  const { width, height } = image
  const data = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[y * width + x] = kinds[gradients.at(x, y)] === STRONG ? 255 : 0
  }
  return { width, height, data }
}

/** Horizontal and vertical Sobel derivatives and |dx| + |dy| on a canvas with a border of zeros, one pixel wide. */
interface Gradients {
  readonly width: number
  readonly height: number
  readonly dx: Int16Array
  readonly dy: Int16Array
  readonly magnitude: Int32Array
  /** Index of a pixel on the canvas. */
  at(x: number, y: number): number
}

function steepestGradients({ width, height, data }: RgbImage): Gradients {
  const stride = width + 2
  const size = stride * (height + 2)
  const at = (x: number, y: number) => (y + 1) * stride + x + 1
  const result = {
    width,
    height,
    dx: new Int16Array(size),
    dy: new Int16Array(size),
    magnitude: new Int32Array(size),
    at,
  }
  for (let y = 0; y < height; y++) {
    // Outside, the border pixels go on.
    const rows = [Math.max(y - 1, 0) * width, y * width, Math.min(y + 1, height - 1) * width] as const
    for (let x = 0; x < width; x++) {
      const columns = [Math.max(x - 1, 0), x, Math.min(x + 1, width - 1)] as const
      const to = at(x, y)
      let steepest = -1
      for (let channel = 2; channel >= 0; channel--) {
        const p = (row: 0 | 1 | 2, column: 0 | 1 | 2) => data[(rows[row] + columns[column]) * 3 + channel] as number
        const dx = p(0, 2) + 2 * p(1, 2) + p(2, 2) - p(0, 0) - 2 * p(1, 0) - p(2, 0)
        const dy = p(2, 0) + 2 * p(2, 1) + p(2, 2) - p(0, 0) - 2 * p(0, 1) - p(0, 2)
        const magnitude = Math.abs(dx) + Math.abs(dy)
        if (magnitude <= steepest) continue
        steepest = magnitude
        result.dx[to] = dx
        result.dy[to] = dy
        result.magnitude[to] = magnitude
      }
    }
  }
  return result
}

/** Keeps the pixels that are steeper than their neighbours across the edge. */
function suppressNonMaxima(gradients: Gradients, low: number, high: number): Uint8Array {
  const { width, height, magnitude } = gradients
  const kinds = new Uint8Array(magnitude.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = gradients.at(x, y)
      const own = magnitude[i] as number
      if (own > low && isMaximum(gradients, i, width + 2)) kinds[i] = own > high ? STRONG : WEAK
    }
  }
  return kinds
}

function isMaximum({ dx, dy, magnitude }: Gradients, i: number, stride: number): boolean {
  const own = magnitude[i] as number
  const across = Math.abs(dx[i] as number)
  const down = Math.abs(dy[i] as number) * 32768
  const tangent22 = across * TANGENT
  if (down < tangent22) return own > (magnitude[i - 1] as number) && own >= (magnitude[i + 1] as number)
  if (down > tangent22 + across * 65536) {
    return own > (magnitude[i - stride] as number) && own >= (magnitude[i + stride] as number)
  }
  const slope = ((dx[i] as number) ^ (dy[i] as number)) < 0 ? -1 : 1
  return own > (magnitude[i - stride - slope] as number) && own > (magnitude[i + stride + slope] as number)
}

/** Makes weak pixels strong that a chain of neighbours joins to a strong one. */
function traceEdges(kinds: Uint8Array, stride: number): void {
  const neighbours = [-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1]
  const stack: number[] = []
  for (const [i, kind] of kinds.entries()) if (kind === STRONG) stack.push(i)
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    for (const step of neighbours) {
      if (kinds[i + step] !== WEAK) continue
      kinds[i + step] = STRONG
      stack.push(i + step)
    }
  }
}
