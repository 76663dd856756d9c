import { describe, expect, it } from 'vitest'
import { TorchGenerator } from './torch-generator.ts'

describe('TorchGenerator', () => {
  it('keeps the whole seed and draws from its low 32 bits', () => {
    const generator = new TorchGenerator(2n ** 64n - 1n)
    expect(generator.seed).toBe(2n ** 64n - 1n)
    expect(generator.rand([4]).data).toEqual(new TorchGenerator(0xffffffff).rand([4]).data)
  })

  it('wraps a negative seed', () => {
    expect(new TorchGenerator(-1).seed).toBe(2n ** 64n - 1n)
    expect(new TorchGenerator(-(2n ** 63n)).seed).toBe(2n ** 63n)
  })

  it.each([0.5, Number.NaN, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n])('refuses the seed %s', (seed) => {
    expect(() => new TorchGenerator(seed)).toThrow(RangeError)
  })

  it('continues where the last draw stopped', () => {
    const whole = new TorchGenerator(7).rand([6]).data
    const generator = new TorchGenerator(7)
    expect([...generator.rand([2]).data, ...generator.rand([4]).data]).toEqual([...whole])
  })

  it('keeps a cached normal over a draw of 16 and more elements', () => {
    const generator = new TorchGenerator(7)
    const pair = new TorchGenerator(7).randn([2]).data
    expect(generator.randn([1]).data[0]).toBe(pair[0])
    generator.randn([16])
    expect(generator.randn([1]).data[0]).toBe(pair[1])
  })
})
