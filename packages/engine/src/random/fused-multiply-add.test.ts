import { describe, expect, it } from 'vitest'
import { fusedMultiplyAdd } from './fused-multiply-add.ts'

// (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24 lies halfway between two float32 values.
const HALFWAY_ROOT = 1 + 2 ** -12
const BELOW = 1 + 2 ** -11
const ABOVE = BELOW + 2 ** -23

describe('fusedMultiplyAdd', () => {
  it('rounds the product and the sum once', () => {
    const a = Math.fround(0.1)
    expect(fusedMultiplyAdd(a, a, -Math.fround(a * a))).toBe(a * a - Math.fround(a * a))
  })

  it('rounds an exact tie to even', () => {
    expect(fusedMultiplyAdd(HALFWAY_ROOT, HALFWAY_ROOT, 0)).toBe(BELOW)
    expect(fusedMultiplyAdd(HALFWAY_ROOT, HALFWAY_ROOT, 2 ** -23)).toBe(ABOVE + 2 ** -23)
  })

  it('sees an addend that a double cannot hold beside the product', () => {
    expect(fusedMultiplyAdd(HALFWAY_ROOT, HALFWAY_ROOT, 2 ** -60)).toBe(ABOVE)
    expect(fusedMultiplyAdd(HALFWAY_ROOT, HALFWAY_ROOT, -(2 ** -60))).toBe(BELOW)
    expect(fusedMultiplyAdd(-HALFWAY_ROOT, HALFWAY_ROOT, 2 ** -60)).toBe(-BELOW)
    expect(fusedMultiplyAdd(-HALFWAY_ROOT, HALFWAY_ROOT, -(2 ** -60))).toBe(-ABOVE)
  })
})
