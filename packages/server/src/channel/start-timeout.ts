import { WireError } from '../errors/errors.ts'
import { REQUEST_TIMEOUT_TYPE } from '../protocol/headers.ts'

/** The caller's start deadline passed; `user` tells both clients not to try again. */
export function startTimeoutError(seconds: number): WireError {
  return new WireError(504, `The request did not start within ${seconds} seconds`, {
    errorType: 'request_timeout',
    headers: { [REQUEST_TIMEOUT_TYPE]: 'user' },
  })
}
