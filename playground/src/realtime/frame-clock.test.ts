import { expect, it } from 'vitest'
import { FrameClock } from './frame-clock.ts'

it('counts pictures of the last two seconds and takes the median latency', () => {
  const clock = new FrameClock()
  expect(clock.tick(1000, 900)).toEqual({ perSecond: 0, latencyMs: 100 })
  expect(clock.tick(1100, 1050)).toEqual({ perSecond: 10, latencyMs: 100 })
  expect(clock.tick(1200, 1130).latencyMs).toBe(70)
  // After a pause the earlier pictures count no more.
  expect(clock.tick(9000, 8000).perSecond).toBe(0)
})
