import { expect, test } from 'vitest'
import { maskForQueries } from '../../src/adapters/image-prompt-mask.ts'
import { interpolate } from '../../src/tensor/interpolate.ts'
import { float32 } from '../../src/tensor/tensor.ts'
import golden from './data/interpolate.json' with { type: 'json' }

// The values are written with seven digits.
const largestDifference = (actual: Float32Array, expected: readonly number[]) => {
  expect(actual.length).toBe(expected.length)
  return Math.max(...expected.map((value, i) => Math.abs(value - (actual[i] as number))))
}

test.each(golden.maps)('$mode from $size to $target is torch’s', ({ size, target, mode, bytes, expected }) => {
  const maps = float32(
    [1, 1, ...size],
    Float32Array.from(bytes, (byte) => byte / 255),
  )
  const { data } = interpolate(maps, target[0] as number, target[1] as number, mode as 'bilinear' | 'bicubic')
  expect(largestDifference(data, expected)).toBeLessThan(1e-6)
})

const masks = [
  ...golden.masks.map((mask) => ({ ...mask, resampling: 'bicubic' as const })),
  ...golden.region_masks.map((mask) => ({ ...mask, resampling: 'nearest' as const })),
]

test.each(masks)(
  'a $resampling mask of $size for $queries queries',
  ({ size, queries, blocks, expected, resampling }) => {
    const [height, width] = size as [number, number]
    const columns = width / 8
    const values = Float32Array.from({ length: height * width }, (_, i) => {
      const [y, x] = [Math.floor(i / width), i % width]
      return blocks[Math.floor(y / 8) * columns + Math.floor(x / 8)] as number
    })
    const { shape, data } = maskForQueries(float32([height, width], values), queries, resampling)
    expect(shape).toEqual([1, queries, 1])
    expect(largestDifference(data, expected)).toBeLessThan(1e-6)
  },
)
