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
  const { width, height } = image
  const gradients = steepestGradients(image)
  const kinds = suppressNonMaxima(gradients, Math.min(low, high), Math.max(low, high))
  traceEdges(kinds, gradients.stride)
  const data = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    const row = (y + 1) * gradients.stride + 1
    for (let x = 0; x < width; x++) data[y * width + x] = kinds[row + x] === STRONG ? 255 : 0
  }
  return { width, height, data }
}

/** Sobel derivatives and |dx| + |dy|, with a border of zeros one pixel wide. */
interface Gradients {
  readonly width: number
  readonly height: number
  /** From a pixel to the one below. */
  readonly stride: number
  readonly dx: Int16Array
  readonly dy: Int16Array
  readonly magnitude: Int16Array
}

function steepestGradients({ width, height, data }: RgbImage): Gradients {
  const stride = width + 2
  const size = stride * (height + 2)
  const result = {
    width,
    height,
    stride,
    dx: new Int16Array(size),
    dy: new Int16Array(size),
    magnitude: new Int16Array(size),
  }
  for (let y = 0; y < height; y++) {
    // Outside, the border pixels go on.
    const above = Math.max(y - 1, 0) * width * 3
    const below = Math.min(y + 1, height - 1) * width * 3
    for (let x = 0; x < width; x++) {
      const [left, right] = [Math.max(x - 1, 0) * 3, Math.min(x + 1, width - 1) * 3]
      const [at, to] = [y * width * 3, (y + 1) * stride + x + 1]
      let steepest = -1
      for (let c = 2; c >= 0; c--) {
        const topLeft = data[above + left + c] as number
        const topRight = data[above + right + c] as number
        const bottomLeft = data[below + left + c] as number
        const bottomRight = data[below + right + c] as number
        const across = 2 * ((data[at + right + c] as number) - (data[at + left + c] as number))
        const down = 2 * ((data[below + x * 3 + c] as number) - (data[above + x * 3 + c] as number))
        const dx = topRight - topLeft + across + bottomRight - bottomLeft
        const dy = bottomLeft - topLeft + down + bottomRight - topRight
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
  const { width, height, stride, magnitude } = gradients
  const kinds = new Uint8Array(magnitude.length)
  for (let y = 0; y < height; y++) {
    for (let i = (y + 1) * stride + 1; i <= (y + 1) * stride + width; i++) {
      const own = magnitude[i] as number
      if (own > low && isMaximum(gradients, i)) kinds[i] = own > high ? STRONG : WEAK
    }
  }
  return kinds
}

function isMaximum({ dx, dy, magnitude, stride }: Gradients, i: number): boolean {
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
  for (let start = 0; start < kinds.length; start++) {
    if (kinds[start] !== STRONG) continue
    for (let i: number | undefined = start; i !== undefined; i = stack.pop()) {
      for (let k = 0; k < neighbours.length; k++) {
        const next = i + (neighbours[k] as number)
        if (kinds[next] !== WEAK) continue
        kinds[next] = STRONG
        stack.push(next)
      }
    }
  }
}
