import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { awakeInterval } from './awake-interval.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

it('tells a tick after a standstill from those on time', () => {
  const ticks: boolean[] = []
  const timer = awakeInterval(1000, (stoodStill) => ticks.push(stoodStill))
  vi.advanceTimersByTime(2000)
  // The machine sleeps for a minute: its wall clock goes on, its timers do not.
  vi.setSystemTime(Date.now() + 60_000)
  vi.advanceTimersByTime(2000)
  clearInterval(timer)
  expect(ticks).toEqual([false, false, true, false])
})
