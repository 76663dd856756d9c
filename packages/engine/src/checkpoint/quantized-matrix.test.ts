import { expect, test } from 'vitest'
import { quantizeMatrix } from './quantized-matrix.ts'

const WEIGHT = Float32Array.of(1, -2, 0.5, 0.01, 0.01, -0.04, 0, 0, 0)

test('each output has a scale of its own', () => {
  const { values, scales } = quantizeMatrix(WEIGHT, 3, 3, '[out, in]')
  expect([...scales]).toEqual([2 / 127, 0.04 / 127, 0].map(Math.fround))
  expect([...values]).toEqual([64, -127, 32, 32, 32, -127, 0, 0, 0])
})

test('the matrix can be turned', () => {
  const { values } = quantizeMatrix(WEIGHT, 3, 3, '[in, out]')
  expect([...values]).toEqual([64, 32, 0, -127, 32, 0, 32, -127, 0])
})
