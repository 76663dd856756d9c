import { dimensions, elementCount, type FloatTensor, float32 } from './tensor.ts'

/** A rectangle of a map. */
export interface MapWindow {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** The part of maps [..., h, w] in a window; the maps themselves where it is all of them. */
export function cropMaps(maps: FloatTensor, { top, left, height, width }: MapWindow): FloatTensor {
  const [h, w] = dimensions(maps.shape.slice(-2), 2)
  if (top < 0 || left < 0 || top + height > h || left + width > w) {
    throw new RangeError(`a window of ${width}×${height} at (${left}, ${top}) leaves a map of ${w}×${h}`)
  }
  if (height === h && width === w) return maps
  const outer = maps.shape.slice(0, -2)
  const out = float32([...outer, height, width])
  for (let map = 0; map < elementCount(outer); map++) {
    for (let y = 0; y < height; y++) {
      const from = (map * h + top + y) * w + left
      out.data.set(maps.data.subarray(from, from + width), (map * height + y) * width)
    }
  }
  return out
}

/** The same place in a map that is `factor` times as large. */
export function scaleWindow({ top, left, height, width }: MapWindow, factor: number): MapWindow {
  return { top: top * factor, left: left * factor, height: height * factor, width: width * factor }
}
