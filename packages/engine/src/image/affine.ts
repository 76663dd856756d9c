/**
 * OpenCV's bilinear sampling, which detectors were trained and published with. It does not antialias; Pillow's filter of that name
 * (`resize.ts`) does.
 */

import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { RgbImage } from './rgb-image.ts'

/** Maps (x, y) to (a x + b y + c, d x + e y + f). */
export type AffineMatrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number]

/** For each place along an axis of the result: the two source places and their weights, which sum to 2048. */
interface Taps {
  readonly first: Int32Array
  readonly second: Int32Array
  readonly weightOfFirst: Int32Array
  readonly weightOfSecond: Int32Array
}

/**
 * Two neighbours and their weights in 11 bits. Beyond the ends, columns lose their fraction and rows keep it; both ways of OpenCV's give
 * the border's value, rounded apart.
 */
function taps(source: number, target: number, keepsFraction: boolean): Taps {
  const result: Taps = {
    first: new Int32Array(target),
    second: new Int32Array(target),
    weightOfFirst: new Int32Array(target),
    weightOfSecond: new Int32Array(target),
  }
  for (let i = 0; i < target; i++) {
    const position = Math.fround((i + 0.5) * (source / target) - 0.5)
    let at = Math.floor(position)
    let fraction = Math.fround(position - at)
    if (!keepsFraction && (at < 0 || at >= source - 1)) {
      at = at < 0 ? 0 : source - 1
      fraction = 0
    }
    result.first[i] = Math.min(Math.max(at, 0), source - 1)
    result.second[i] = Math.min(Math.max(at + 1, 0), source - 1)
    result.weightOfFirst[i] = roundHalfEven(Math.fround(Math.fround(1 - fraction) * 2048))
    result.weightOfSecond[i] = roundHalfEven(Math.fround(fraction * 2048))
  }
  return result
}

/**
 * `cv2.resize(image, (width, height))` of 8-bit pictures, equal in every byte.
 * @throws RangeError for an empty size
 */
export function resizeLinear(image: RgbImage, width: number, height: number): RgbImage {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new RangeError(`a picture is resized to whole, positive pixels, got ${width}x${height}`)
  }
  const columns = taps(image.width, width, false)
  const rows = taps(image.height, height, true)
  const line = width * 3
  const data = new Uint8Array(line * height)
  // Rows of the source, resampled, by their index: two are alive at a time.
  let [upper, lower] = [new Int32Array(line), new Int32Array(line)]
  let [upperRow, lowerRow] = [-1, -1]
  for (let y = 0; y < height; y++) {
    const [first, second] = [rows.first[y] as number, rows.second[y] as number]
    if (first === lowerRow && first !== upperRow) {
      ;[upper, lower] = [lower, upper]
      ;[upperRow, lowerRow] = [lowerRow, upperRow]
    }
    if (first !== upperRow) resampleRow(image, first, columns, upper)
    if (second !== lowerRow) resampleRow(image, second, columns, lower)
    ;[upperRow, lowerRow] = [first, second]
    const [a, b] = [rows.weightOfFirst[y] as number, rows.weightOfSecond[y] as number]
    for (let i = 0; i < line; i++) {
      const top = (((upper[i] as number) >> 4) * a) >> 16
      const bottom = (((lower[i] as number) >> 4) * b) >> 16
      data[y * line + i] = (top + bottom + 2) >> 2
    }
  }
  return { width, height, data }
}

function resampleRow(image: RgbImage, row: number, columns: Taps, out: Int32Array): void {
  const { data, width } = image
  const start = row * width * 3
  for (let x = 0; x < columns.first.length; x++) {
    const left = start + (columns.first[x] as number) * 3
    const right = start + (columns.second[x] as number) * 3
    const [a, b] = [columns.weightOfFirst[x] as number, columns.weightOfSecond[x] as number]
    for (let c = 0; c < 3; c++) out[x * 3 + c] = (data[left + c] as number) * a + (data[right + c] as number) * b
  }
}

/** The matrix that undoes `matrix`. */
function invertAffine([a, b, c, d, e, f]: AffineMatrix): AffineMatrix {
  const determinant = a * e - b * d
  const scale = determinant === 0 ? 0 : 1 / determinant
  const [ia, ib, id, ie] = [e * scale, -b * scale, -d * scale, a * scale]
  return [ia, ib, -ia * c - ib * f, id, ie, -id * c - ie * f]
}

/**
 * `cv2.warpAffine(image, matrix, (width, height))` with a black border, equal in every byte to OpenCV 5's: each pixel is sampled where
 * the matrix took it from. OpenCV 4 rounds places to 1/32 of a pixel and differs by 1 in 6 % of the samples.
 */
export function warpAffine(image: RgbImage, matrix: AffineMatrix, width: number, height: number): RgbImage {
  const [a, b, c, d, e, f] = invertAffine(matrix).map(Math.fround) as [number, number, number, number, number, number]
  const data = new Uint8ClampedArray(width * height * 3)
  for (let y = 0; y < height; y++) {
    // In float32 with fused multiply-add, as the vector code has it: a product of two float32 is exact in a double.
    const [rowX, rowY] = [Math.fround(Math.fround(b * y) + c), Math.fround(Math.fround(e * y) + f)]
    for (let x = 0; x < width; x++) {
      sample(image, Math.fround(a * x + rowX), Math.fround(d * x + rowY), data, (y * width + x) * 3)
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) }
}

/** Storing into the clamped array rounds halves to even. */
function sample(image: RgbImage, x: number, y: number, out: Uint8ClampedArray, to: number): void {
  const [left, top] = [Math.floor(x), Math.floor(y)]
  const [fx, fy] = [Math.fround(x - left), Math.fround(y - top)]
  if (!(left >= -1 && top >= -1 && left < image.width && top < image.height)) return
  for (let channel = 0; channel < 3; channel++) {
    const [p, q] = [pixel(image, left, top, channel), pixel(image, left + 1, top, channel)]
    const [r, s] = [pixel(image, left, top + 1, channel), pixel(image, left + 1, top + 1, channel)]
    const upper = Math.fround(fx * (q - p) + p)
    const lower = Math.fround(fx * (s - r) + r)
    out[to + channel] = Math.fround(fy * Math.fround(lower - upper) + upper)
  }
}

/** 0 outside the picture. */
function pixel({ width, height, data }: RgbImage, x: number, y: number, channel: number): number {
  return x < 0 || y < 0 || x >= width || y >= height ? 0 : (data[(y * width + x) * 3 + channel] as number)
}
