import type { RgbImage } from '../../src/image/rgb-image.ts'

/** The bytes of `noise(width, height, channels)` of the golden scripts: an integer hash of each sample's index. */
export function noiseBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => {
    const x = Math.imul(index, 2654435761)
    return Math.imul(x ^ (x >>> 15), 2246822519) >>> 24
  })
}

export function noiseImage(width: number, height: number): RgbImage {
  return { width, height, data: noiseBytes(width * height * 3) }
}
