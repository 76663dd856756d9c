import { resizeBicubic } from '../image/bicubic.ts'
import { greyToRgb } from '../image/grey.ts'
import type { Size } from '../image/pixel-values.ts'
import type { RgbImage } from '../image/rgb-image.ts'

/** What a depth network says of a picture, at the network's own size: larger values are nearer. */
export interface DepthMap extends Size {
  /** float32 [height, width] */
  readonly data: Float32Array
}

/** The map as a picture of another size, in three equal channels: white where it is nearest, black where it is farthest. */
export function depthImage(map: DepthMap, { width, height }: Size): RgbImage {
  return greyToRgb({ width, height, data: toGrey(resizeBicubic(map.data, map, { width, height })) })
}

/** From the smallest to the largest value, truncated to whole numbers; a flat map is black. */
function toGrey(depth: Float32Array): Uint8Array {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of depth) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  const range = Math.fround(high - low)
  if (!(range > 0)) return new Uint8Array(depth.length)
  return Uint8Array.from(depth, (value) => Math.fround(Math.fround(Math.fround(value - low) / range) * 255))
}
