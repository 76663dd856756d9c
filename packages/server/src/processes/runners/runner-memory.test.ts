import { expect, it } from 'vitest'
import { engineMemory, keptMemory, machineMemory, runnerMemory } from './runner-memory.ts'

it('shares the machine among its runners, and keeps an engine below what its runner is replaced for', () => {
  const one = { count: 1, memoryBytes: undefined }
  const four = { count: 4, memoryBytes: undefined }
  expect(runnerMemory(one)).toBeCloseTo(machineMemory() * 0.9, -3)
  expect(runnerMemory(four)).toBeCloseTo(runnerMemory(one) / 4, -3)
  expect(4 * engineMemory(four)).toBeLessThan(machineMemory() * 0.8)
  expect(engineMemory({ count: 4, memoryBytes: 6e9 })).toBe(5e9)
})

it('leaves three quarters of the machine to other programs while nothing is drawn, unless told otherwise', () => {
  const runners = { count: 1, memoryBytes: undefined, keptBytes: undefined }
  expect(keptMemory(runners)).toBeCloseTo(machineMemory() / 4, -3)
  expect(keptMemory({ ...runners, count: 2 })).toBeCloseTo(machineMemory() / 8, -3)
  expect(keptMemory({ ...runners, keptBytes: 1e9 })).toBe(1e9)
  expect(keptMemory({ ...runners, memoryBytes: 6e8, keptBytes: 1e9 })).toBe(5e8)
})
