import { ExtData, encode } from '@msgpack/msgpack'
import { expect, it } from 'vitest'
import { hasAtMostValues } from './message-pack-values.ts'

/** Every kind of value that the format has. */
const VALUES: readonly unknown[] = [
  [null, 1],
  [true, 1],
  [7, 1],
  [-7, 1],
  [200, 1],
  [-100, 1],
  [40_000, 1],
  [-40_000, 1],
  [3_000_000_000, 1],
  [-3_000_000_000, 1],
  [2n ** 60n, 1],
  [-(2n ** 60n), 1],
  [1.5, 1],
  ['', 1],
  ['x'.repeat(31), 1],
  ['x'.repeat(200), 1],
  ['x'.repeat(60_000), 1],
  ['x'.repeat(70_000), 1],
  [new Uint8Array(200), 1],
  [new Uint8Array(60_000), 1],
  [new Uint8Array(70_000), 1],
  ...[1, 2, 4, 8, 16, 3, 300, 70_000].map((length) => [new ExtData(9, new Uint8Array(length)), 1]),
  [[1, 2, [3]], 5],
  [new Array(20).fill(1), 21],
  [new Array(70_000).fill(1), 70_001],
  [{ a: 1, b: { c: [] } }, 7],
  [Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, i])), 41],
  [Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`${i}`, i])), 140_001],
]

it.each(VALUES.map((each, i) => [i, ...(each as [unknown, number])] as const))('counts kind %i', (_, value, count) => {
  const message = encode([value, 1], { useBigInt64: true })
  expect(hasAtMostValues(message, count + 2)).toBe(true)
  expect(hasAtMostValues(message, count + 1)).toBe(false)
})

it('counts a single precision float, and leaves what is cut off to the decoder', () => {
  expect(hasAtMostValues(encode([1.5, 1], { forceFloat32: true }), 3)).toBe(true)
  expect(hasAtMostValues(Uint8Array.of(0xdb, 0xff), 0)).toBe(false)
  expect(hasAtMostValues(Uint8Array.of(0xdb, 0xff), 1)).toBe(true)
})
