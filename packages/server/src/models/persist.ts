import { setTimeout as sleep } from 'node:timers/promises'
import { isPassing, StatusError } from './transfer-error.ts'

export interface RetryTiming {
  /** Milliseconds before the first repetition; doubled each time. */
  readonly backoffMs: number
  /** Tries in a row that may bring nothing. */
  readonly attempts: number
}

export const RETRY_TIMING: RetryTiming = { backoffMs: 500, attempts: 5 }

/**
 * Repeats what fails in passing, until it failed `attempts` times in a row without coming further. A server that says when to
 * come again is waited for that long.
 * @param position how far the work has come, where it comes in steps
 * @throws what the last attempt threw; the signal's reason
 */
export async function persist<T>(
  signal: AbortSignal,
  { backoffMs, attempts }: RetryTiming,
  attempt: () => Promise<T>,
  position: () => number = () => 0,
): Promise<T> {
  for (let failures = 0; ; ) {
    const start = position()
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      failures = position() > start ? 1 : failures + 1
      if (!isPassing(error) || failures >= attempts) throw error
      const asked = error instanceof StatusError ? error.retryAfter : undefined
      const wait = asked === undefined ? backoffMs * 2 ** (failures - 1) : asked * 1000
      await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
