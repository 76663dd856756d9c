import { describe, expect, it } from 'vitest'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import { arange, linspace } from './spacing.ts'

describe('spacing', () => {
  it('rounds halves to the even integer', () => {
    expect([-1.5, -0.5, 0.5, 1.5, 2.5, 2.4, 2.6].map(roundHalfEven)).toEqual([-2, 0, 0, 2, 2, 2, 3])
  })

  it("has numpy's extra element where the division rounds up", () => {
    expect([60, 61, 103, 121, 122].map((n) => arange(1000, 0, -1000 / n).length)).toEqual([60, 62, 104, 122, 123])
  })

  it('ends linspace on its end, and with one element on its start', () => {
    expect(linspace(0, 999, 4)).toEqual([0, 333, 666, 999])
    expect(linspace(0, 999, 1)).toEqual([0])
  })
})
