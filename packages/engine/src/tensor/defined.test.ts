import { expect, it } from 'vitest'
import { defined } from './defined.ts'

it('gives what is there, falsy values included', () => {
  expect([defined(0), defined(''), defined(Number.NaN), defined(null)]).toEqual([0, '', Number.NaN, null])
})

it('throws for an index outside of its array', () => {
  const values = new Float32Array(2)
  expect(() => defined(values[2])).toThrow(RangeError)
})
