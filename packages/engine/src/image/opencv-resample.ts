/** OpenCV's resampling by area and by Lanczos' kernel, as weights along an axis: both are the same for every row and column. */

import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { RgbImage } from './rgb-image.ts'

/** For each place of the result the first source place, and weights of the places from there. */
export type AxisWeights = readonly { readonly start: number; readonly weights: readonly number[] }[]

interface Size {
  readonly width: number
  readonly height: number
}

/** Weights along both axes. */
export interface ResampleWeights {
  readonly columns: AxisWeights
  readonly rows: AxisWeights
}

/** `cv2.resize(…, interpolation=INTER_AREA)`: means over what a place covers; linear where a side grows. */
export function areaWeights(from: Size, to: Size): ResampleWeights {
  const shrinks = to.width <= from.width && to.height <= from.height
  const axis = shrinks ? areaAxis : areaLinearAxis
  return { columns: axis(from.width, to.width), rows: axis(from.height, to.height) }
}

/** `cv2.resize(…, interpolation=INTER_LANCZOS4)`: eight places each, which does not antialias. */
export function lanczosWeights(from: Size, to: Size): ResampleWeights {
  return { columns: lanczosAxis(from.width, to.width), rows: lanczosAxis(from.height, to.height) }
}

function areaAxis(source: number, target: number): AxisWeights {
  const scale = source / target
  return Array.from({ length: target }, (_, i) => {
    const [from, to] = [i * scale, Math.min((i + 1) * scale, source)]
    const start = Math.floor(from + 1e-9)
    const end = Math.min(Math.ceil(to - 1e-9), source)
    const weights = Array.from(
      { length: end - start },
      (_, k) => (Math.min(start + k + 1, to) - Math.max(start + k, from)) / (to - from),
    )
    return { start, weights }
  })
}

function areaLinearAxis(source: number, target: number): AxisWeights {
  const scale = source / target
  return Array.from({ length: target }, (_, i) => {
    const start = Math.min(Math.floor(i * scale), source - 1)
    const place = i + 1 - (start + 1) / scale
    const fraction = place <= 0 ? 0 : place - Math.floor(place)
    return start === source - 1 ? { start, weights: [1] } : { start, weights: [1 - fraction, fraction] }
  })
}

const LANCZOS_TAPS = 8

function lanczosAxis(source: number, target: number): AxisWeights {
  return Array.from({ length: target }, (_, i) => {
    const place = Math.fround((i + 0.5) * (source / target) - 0.5)
    const first = Math.floor(place) - 3
    const taps = Array.from({ length: LANCZOS_TAPS }, (_, k) => lanczos(place - first - k))
    const sum = taps.reduce((total, tap) => total + tap, 0)
    // Beyond the ends the border's value goes on.
    const inside = (at: number) => Math.min(Math.max(at, 0), source - 1)
    const start = inside(first)
    const weights = new Array<number>(inside(first + LANCZOS_TAPS - 1) - start + 1).fill(0)
    for (const [k, tap] of taps.entries()) {
      const at = inside(first + k) - start
      weights[at] = (weights[at] as number) + tap / sum
    }
    return { start, weights }
  })
}

/** sinc(x) · sinc(x / 4). */
function lanczos(x: number): number {
  if (Math.abs(x) < 1e-6) return 1
  if (Math.abs(x) >= 4) return 0
  const angle = Math.PI * x
  return (4 * Math.sin(angle) * Math.sin(angle / 4)) / (angle * angle)
}

/** An 8-bit picture; equal to OpenCV's but for the last bit, whose weights have 11 of them. */
export function resampleRgb(image: RgbImage, to: Size, { columns, rows }: ResampleWeights): RgbImage {
  const narrow = new Float32Array(to.width * image.height * 3)
  for (let y = 0; y < image.height; y++) {
    for (const [x, { start, weights }] of columns.entries()) {
      const at = (y * to.width + x) * 3
      for (let k = 0; k < weights.length; k++) {
        const weight = weights[k] as number
        const from = (y * image.width + start + k) * 3
        for (let c = 0; c < 3; c++)
          narrow[at + c] = (narrow[at + c] as number) + weight * (image.data[from + c] as number)
      }
    }
  }
  const line = to.width * 3
  const data = new Uint8Array(line * to.height)
  for (const [y, { start, weights }] of rows.entries()) {
    for (let i = 0; i < line; i++) {
      let sum = 0
      for (let k = 0; k < weights.length; k++)
        sum += (weights[k] as number) * (narrow[(start + k) * line + i] as number)
      data[y * line + i] = Math.min(255, Math.max(0, roundHalfEven(sum)))
    }
  }
  return { ...to, data }
}
