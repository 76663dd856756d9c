import { describe, expect, it } from 'vitest'
import { createScheduler } from './from-config.ts'
import { startIndex } from './start-index.ts'

describe('startIndex', () => {
  it.each([
    [4, 0.8, 1],
    [10, 0.7, 3],
    [100, 0.29, 72],
    [10, 1, 0],
    [10, 0.1, 9],
  ])('of %i steps at strength %f is %i', (numInferenceSteps, strength, expected) => {
    const scheduler = createScheduler('DDIM', {})
    scheduler.setTimesteps({ numInferenceSteps })
    expect(startIndex(scheduler, strength)).toBe(expected)
  })

  it.each([0, 0.05, -0.1, 1.5, Number.NaN])('refuses strength %f of 10 steps', (strength) => {
    const scheduler = createScheduler('DDIM', {})
    scheduler.setTimesteps({ numInferenceSteps: 10 })
    expect(() => startIndex(scheduler, strength)).toThrow(expect.objectContaining({ parameter: 'strength' }))
  })
})
