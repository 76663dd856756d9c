/** Lengths of time that the Platform API counts by. */
export const TIMEFRAMES = ['minute', 'hour', 'day', 'week', 'month'] as const
export type Timeframe = (typeof TIMEFRAMES)[number]

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The timeframe that the Platform API takes for a range of time, in milliseconds, when it is told none. */
export function timeframeFor(length: number): Timeframe {
  if (length < 2 * HOUR) return 'minute'
  if (length < 2 * DAY) return 'hour'
  if (length < 64 * DAY) return 'day'
  return length < 183 * DAY ? 'week' : 'month'
}

/** Minutes, hours, days, weeks and months as a time zone's clocks have them; weeks begin on Monday. */
export class TimeBuckets {
  readonly #timeframe: Timeframe
  readonly #clock: Intl.DateTimeFormat

  /** @throws RangeError for a time zone that there is none of */
  constructor(timeframe: Timeframe, timeZone: string) {
    this.#timeframe = timeframe
    this.#clock = new Intl.DateTimeFormat('en', {
      timeZone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  /** The beginning of the bucket in which a time lies, in milliseconds since 1970. */
  startOf(time: number): number {
    const wall = beginning(time + this.#offset(time), this.#timeframe)
    // The offset may be another one at the beginning.
    const near = wall - this.#offset(time)
    return wall - this.#offset(near)
  }

  /** The beginning of the bucket behind the one in which a time lies. */
  next(time: number): number {
    const start = this.startOf(time)
    // A day has 23 to 25 hours where clocks are set, a month 28 to 31 days.
    const inside = { minute: MINUTE, hour: HOUR, day: DAY + 2 * HOUR, week: 7 * DAY + 2 * HOUR, month: 32 * DAY }
    return this.startOf(start + inside[this.#timeframe])
  }

  /** A bucket's beginning as the zone's clocks show it, with their offset: `2026-01-15T00:00:00-05:00`. */
  label(start: number): string {
    const minutes = this.#offset(start) / MINUTE
    const two = (value: number) => String(value).padStart(2, '0')
    const offset = `${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`
    return `${new Date(start + minutes * MINUTE).toISOString().slice(0, 19)}${minutes < 0 ? '-' : '+'}${offset}`
  }

  /** What the zone's clocks are ahead of UTC, in milliseconds, a multiple of a minute. */
  #offset(time: number): number {
    const parts = this.#clock.formatToParts(time)
    const value = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((part) => part.type === type)?.value)
    const wall = Date.UTC(
      value('year'),
      value('month') - 1,
      value('day'),
      value('hour'),
      value('minute'),
      value('second'),
    )
    return Math.round((wall - time) / MINUTE) * MINUTE
  }
}

/** The beginning of a bucket of UTC. */
function beginning(time: number, timeframe: Timeframe): number {
  if (timeframe === 'minute') return Math.floor(time / MINUTE) * MINUTE
  if (timeframe === 'hour') return Math.floor(time / HOUR) * HOUR
  const date = new Date(time)
  const day = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate())
  if (timeframe === 'day') return day
  if (timeframe === 'month') return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
  return day - ((date.getUTCDay() + 6) % 7) * DAY
}
