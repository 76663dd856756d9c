import { expect, test } from 'vitest'
import { relativeError } from './relative-error.ts'
import { float32 } from './tensor.ts'

const tensor = (...values: number[]) => float32([values.length], Float32Array.from(values))

test('is the largest difference over the largest value that was expected', () => {
  expect(relativeError(tensor(1, -3.5, 4), tensor(1, -4, 2))).toBe(0.5)
  expect(relativeError(tensor(1, 2), tensor(1, 2))).toBe(0)
})

test('is infinite where a value is no number or the shapes differ: nothing of it is close', () => {
  expect(relativeError(tensor(1, Number.NaN), tensor(1, 2))).toBe(Number.POSITIVE_INFINITY)
  expect(relativeError(tensor(1), tensor(1, 2))).toBe(Number.POSITIVE_INFINITY)
  expect(relativeError(undefined, tensor(1))).toBe(Number.POSITIVE_INFINITY)
})
