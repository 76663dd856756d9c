/**
 * `blocked`: the target is not one this server connects to. `invalid_url`: nothing that could be fetched.
 * `too_large`, `type`, `status`, `redirects`: the answer was none to keep. `timeout`, `network`: there was no answer.
 */
export type OutboundErrorCode =
  | 'invalid_url'
  | 'blocked'
  | 'too_large'
  | 'type'
  | 'status'
  | 'redirects'
  | 'timeout'
  | 'network'

export class OutboundError extends Error {
  override readonly name = 'OutboundError'
  readonly code: OutboundErrorCode

  constructor(code: OutboundErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}
