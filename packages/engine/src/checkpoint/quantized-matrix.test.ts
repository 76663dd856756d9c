import { expect, test } from 'vitest'
import { quantizeMatrix } from './quantized-matrix.ts'

test('each output has a scale of its own, and the matrix is turned', () => {
  const { values, scales } = quantizeMatrix(Float32Array.of(1, -2, 0.5, 0.01, 0.01, -0.04, 0, 0, 0), 3, 3)
  expect([...scales]).toEqual([2 / 127, 0.04 / 127, 0].map(Math.fround))
  expect([...values]).toEqual([64, 32, 0, -127, 32, 0, 32, -127, 0])
})
