import { WireError } from '../errors/errors.ts'
import { REQUEST_TIMEOUT_TYPE } from '../protocol/headers.ts'

/**
 * Waits for work, but no longer than so many seconds; what it throws is passed on.
 * @returns whether it ended in time
 */
export async function endsWithin(work: Promise<unknown>, seconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, false)
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

/** The caller's start deadline passed; `user` tells both clients not to try again. */
export function startTimeoutError(seconds: number): WireError {
  return new WireError(504, `The request did not start within ${seconds} seconds`, {
    errorType: 'request_timeout',
    headers: { [REQUEST_TIMEOUT_TYPE]: 'user' },
  })
}
