import { describe, expect, it } from 'vitest'
import { parseRetryAfter } from './delivery-attempt.ts'
import { DELIVERY_DEFAULTS, retryDelaySeconds } from './webhook-deliverer.ts'

describe('retryDelaySeconds', () => {
  it('doubles from 5 seconds to 10 minutes', () => {
    const delays = [1, 2, 3, 7, 8, 31].map((attempt) => retryDelaySeconds(attempt, DELIVERY_DEFAULTS, 0.5))
    expect(delays).toEqual([5, 10, 20, 320, 600, 600])
  })

  it('spreads by a fifth either way', () => {
    expect(retryDelaySeconds(1, DELIVERY_DEFAULTS, 0)).toBeCloseTo(4)
    expect(retryDelaySeconds(1, DELIVERY_DEFAULTS, 1)).toBeCloseTo(6)
  })
})

describe('parseRetryAfter', () => {
  const now = new Date('2026-01-01T00:00:00Z')

  it.each([
    [undefined, undefined],
    ['0', 0],
    [' 120 ', 120],
    ['999999', 3600],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
  ])('%j is %j', (value, seconds) => {
    expect(parseRetryAfter(value, now)).toBe(seconds)
  })
})
