import { OutboundError } from '../security/outbound-error.ts'
import type { OutboundHttp, OutboundResponse } from '../security/outbound-http.ts'

export interface FollowedRequest {
  readonly url: URL
  readonly method: 'GET' | 'HEAD'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent to the first URL's origin alone: where a redirect leads to elsewhere, the token is nobody's business. */
  readonly authorization?: string
  /** Seconds that each exchange may take, its body included. */
  readonly timeoutSeconds: number
  readonly signal: AbortSignal
  /** Which redirects to follow; all unless given. One that is not followed is the answer. */
  readonly follows?: (from: URL, to: URL) => boolean
}

const MAX_REDIRECTS = 5
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308]

/**
 * Sends a request and follows where it leads; `receive` gets the last answer and the URL that gave it.
 * @throws OutboundError; what `receive` throws; the signal's reason
 */
export async function sendFollowing<T>(
  http: OutboundHttp,
  request: FollowedRequest,
  receive: (response: OutboundResponse, url: URL) => Promise<T>,
): Promise<T> {
  let url = request.url
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const isHome = url.origin === request.url.origin
    const headers = {
      accept: '*/*',
      'accept-encoding': 'identity',
      ...request.headers,
      ...(isHome && request.authorization !== undefined && { authorization: request.authorization }),
    }
    const { method, timeoutSeconds, signal } = request
    const from = url
    const answer = await http.send({ url, method, headers, timeoutSeconds, signal }, async (response) => {
      const target = redirectOf(response, from)
      if (target !== undefined && (request.follows?.(from, target) ?? true)) return { target }
      return { value: await receive(response, from) }
    })
    if (answer.target === undefined) return answer.value
    url = answer.target
  }
  throw new OutboundError('redirects', `more than ${MAX_REDIRECTS} redirects`)
}

/** Where an answer sends its reader to. */
export function redirectOf({ status, headers }: OutboundResponse, from: URL): URL | undefined {
  const { location } = headers
  if (!REDIRECTS.includes(status) || location === undefined) return undefined
  if (!URL.canParse(location, from.href)) throw new OutboundError('invalid_url', 'it redirects to no URL')
  return new URL(location, from)
}
