import { expect, it } from 'vitest'
import { Mt19937 } from './mt19937.ts'

it('gives the reference outputs of mt19937ar for its default seed', () => {
  // The 10000th output is the one that the C++ standard requires of std::mt19937 ([rand.predef]).
  const engine = new Mt19937(5489)
  expect(engine.nextUint32()).toBe(3499211612)
  for (let i = 2; i < 10_000; i++) engine.nextUint32()
  expect(engine.nextUint32()).toBe(4123659995)
})
