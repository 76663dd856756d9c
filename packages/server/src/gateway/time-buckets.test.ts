import { expect, test } from 'vitest'
import { TimeBuckets, type Timeframe, timeframeFor } from './time-buckets.ts'

test.each([
  ['minute', 'UTC', '2026-03-29T01:30:59.9Z', '2026-03-29T01:30:00+00:00', '2026-03-29T01:31:00+00:00'],
  ['hour', 'Asia/Kolkata', '2026-03-29T01:45:00Z', '2026-03-29T07:00:00+05:30', '2026-03-29T08:00:00+05:30'],
  ['day', 'UTC', '2026-03-29T23:59:59Z', '2026-03-29T00:00:00+00:00', '2026-03-30T00:00:00+00:00'],
  // Clocks are set on these days: 23 and 25 hours.
  ['day', 'Europe/Berlin', '2026-03-29T12:00:00Z', '2026-03-29T00:00:00+01:00', '2026-03-30T00:00:00+02:00'],
  ['day', 'America/New_York', '2026-11-01T15:00:00Z', '2026-11-01T00:00:00-04:00', '2026-11-02T00:00:00-05:00'],
  ['week', 'UTC', '2026-03-29T12:00:00Z', '2026-03-23T00:00:00+00:00', '2026-03-30T00:00:00+00:00'],
  ['month', 'Asia/Tokyo', '2026-01-31T18:00:00Z', '2026-02-01T00:00:00+09:00', '2026-03-01T00:00:00+09:00'],
] as const)('a %s in %s: %s', (timeframe, zone, time, start, next) => {
  const buckets = new TimeBuckets(timeframe, zone)
  const at = Date.parse(time)
  expect(buckets.label(buckets.startOf(at))).toBe(start)
  expect(buckets.label(buckets.next(at))).toBe(next)
  expect(buckets.startOf(buckets.startOf(at))).toBe(Date.parse(start))
})

test('a range of time has a timeframe', () => {
  const hours: [number, Timeframe][] = [
    [1, 'minute'],
    [2, 'hour'],
    [48, 'day'],
    [64 * 24, 'week'],
    [183 * 24, 'month'],
  ]
  for (const [length, timeframe] of hours) expect(timeframeFor(length * 3600_000)).toBe(timeframe)
})
