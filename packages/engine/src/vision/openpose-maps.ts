import { type AxisWeights, areaWeights, lanczosWeights, type ResampleWeights } from '../image/opencv-resample.ts'
import { OPENPOSE_STRIDE } from '../models/openpose-body.ts'
import type { FloatTensor } from '../tensor/tensor.ts'

interface Size {
  readonly width: number
  readonly height: number
}

/** Deviation, in pixels, of the filter that maps pass before their peaks are looked for; scipy cuts it off at four of them. */
const SMOOTHING = 3
const SMOOTHING_RADIUS = 4 * SMOOTHING

/** Which of OpenCV's ways makes a picture of another size: by area when it shrinks, by Lanczos' kernel when it grows. */
export function smartWeights(from: Size, to: Size): ResampleWeights {
  const shrinks = to.width + to.height < from.width + from.height
  return shrinks ? areaWeights(from, to) : lanczosWeights(from, to)
}

/**
 * The network's maps at the size of the picture they are of. Each step there is linear along an axis (eight times larger, the padding cut
 * off, resampled to the picture), so that all of them are one matrix for each axis, and single places can be had without the rest.
 */
export class OpenPoseMaps {
  readonly size: Size
  readonly #grid: Size
  readonly #columns: AxisWeights
  readonly #rows: AxisWeights

  /**
   * @param grid of the maps
   * @param inner what the picture took of the network's input, without its padding
   * @param size of the picture
   */
  constructor(grid: Size, inner: Size, size: Size) {
    this.size = size
    this.#grid = grid
    const padded = { width: grid.width * OPENPOSE_STRIDE, height: grid.height * OPENPOSE_STRIDE }
    const [larger, fitted] = [smartWeights(grid, padded), smartWeights(inner, size)]
    this.#columns = compose(fitted.columns, larger.columns)
    this.#rows = compose(fitted.rows, larger.rows)
  }

  /** The value of a channel of [1, C, h, w] at a pixel. */
  valueAt({ data }: FloatTensor, channel: number, x: number, y: number): number {
    const { width, height } = this.#grid
    const [column, row] = [this.#columns[x], this.#rows[y]] as [AxisWeights[number], AxisWeights[number]]
    let sum = 0
    for (const [j, weight] of row.weights.entries()) {
      const at = (channel * height + row.start + j) * width + column.start
      let line = 0
      for (let i = 0; i < column.weights.length; i++) line += (column.weights[i] as number) * (data[at + i] as number)
      sum += weight * line
    }
    return sum
  }

  /** Smooths channels of [1, C, h, w] one after another (scipy's `gaussian_filter` with sigma 3). */
  *smoothed({ data }: FloatTensor, channels: number): Generator<Float64Array> {
    const { width, height } = this.size
    const columns = compose(smoothing(width), this.#columns)
    const rows = compose(smoothing(height), this.#rows)
    const [gridWidth, gridHeight] = [this.#grid.width, this.#grid.height]
    const wide = new Float64Array(width * gridHeight)
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < gridHeight; y++) {
        const line = (channel * gridHeight + y) * gridWidth
        for (const [x, { start, weights }] of columns.entries()) {
          let sum = 0
          for (let i = 0; i < weights.length; i++) sum += (weights[i] as number) * (data[line + start + i] as number)
          wide[y * width + x] = sum
        }
      }
      yield stretchRows(wide, width, rows)
    }
  }
}

function stretchRows(wide: Float64Array, width: number, rows: AxisWeights): Float64Array {
  const map = new Float64Array(width * rows.length)
  for (const [y, { start, weights }] of rows.entries()) {
    const to = y * width
    for (const [j, weight] of weights.entries()) {
      const from = (start + j) * width
      for (let x = 0; x < width; x++) map[to + x] = (map[to + x] as number) + weight * (wide[from + x] as number)
    }
  }
  return map
}

/** First `inner`, then `outer`, as one. */
function compose(outer: AxisWeights, inner: AxisWeights): AxisWeights {
  return outer.map(({ start, weights }) => {
    const parts = weights.map((weight, i) => ({ weight, ...(inner[start + i] as AxisWeights[number]) }))
    const first = Math.min(...parts.map((part) => part.start))
    const end = Math.max(...parts.map((part) => part.start + part.weights.length))
    const sums = new Array<number>(end - first).fill(0)
    for (const part of parts) {
      for (const [i, own] of part.weights.entries()) {
        const at = part.start - first + i
        sums[at] = (sums[at] as number) + part.weight * own
      }
    }
    return { start: first, weights: sums }
  })
}

/** The Gaussian's weights; beyond the ends the pixels are mirrored, the last one twice. */
function smoothing(length: number): AxisWeights {
  const kernel = Array.from({ length: 2 * SMOOTHING_RADIUS + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - SMOOTHING_RADIUS) / SMOOTHING) ** 2),
  )
  const total = kernel.reduce((sum, value) => sum + value, 0)
  const mirrored = (at: number) => {
    const wrapped = ((at % (2 * length)) + 2 * length) % (2 * length)
    return wrapped < length ? wrapped : 2 * length - 1 - wrapped
  }
  return Array.from({ length }, (_, i) => {
    const places = kernel.map((value, k) => ({ at: mirrored(i + k - SMOOTHING_RADIUS), weight: value / total }))
    const start = Math.min(...places.map(({ at }) => at))
    const weights = new Array<number>(Math.max(...places.map(({ at }) => at)) - start + 1).fill(0)
    for (const { at, weight } of places) weights[at - start] = (weights[at - start] as number) + weight
    return { start, weights }
  })
}
