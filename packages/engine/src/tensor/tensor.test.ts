import { expect, it } from 'vitest'
import { dimensions, expectFloat32, float32, int64 } from './tensor.ts'

it('gives the first dimensions of a shape that has as many', () => {
  expect(dimensions([2, 3, 4, 5], 2)).toEqual([2, 3])
  expect(() => dimensions([2, 3], 3)).toThrow('the shape [2,3] has fewer than 3 dimensions')
})

it('takes the results of sessions for float32 tensors only when they are', () => {
  const result = float32([1])
  expect(expectFloat32(result)).toBe(result)
  expect(() => expectFloat32(int64([1], [1]))).toThrow('got one of int64')
  expect(() => expectFloat32(undefined)).toThrow('got none')
})
