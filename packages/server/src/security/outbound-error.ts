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

/** What the codes of failed connections mean, where the code alone says little. */
const CAUSES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'no name server answers',
  ECONNREFUSED: 'the host refuses the connection',
  ECONNRESET: 'the connection was cut off',
  EPIPE: 'the connection was cut off',
  UND_ERR_SOCKET: 'the connection was cut off',
  EHOSTUNREACH: 'no way leads to the host',
  ENETUNREACH: 'no way leads to the host',
  ETIMEDOUT: 'the host does not answer',
  CERT_HAS_EXPIRED: 'its certificate is no longer valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not trusted here',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

/** A connection that failed, in words beside the system's code for it. */
export function networkError(code: string, cause: unknown): OutboundError {
  const words = CAUSES[code]
  return new OutboundError('network', words === undefined ? code : `${words}, ${code}`, cause)
}
