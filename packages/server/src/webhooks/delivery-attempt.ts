import { setTimeout as delay } from 'node:timers/promises'
import { OutboundError } from '../security/outbound-error.ts'
import type { OutboundHttp, OutboundResponse } from '../security/outbound-http.ts'
import { falHeaders, type SigningKey } from './signature.ts'
import type { AttemptResult, LeasedDelivery } from './webhook-outbox.ts'

/** What to do after an attempt. */
export type Verdict =
  | { readonly next: 'done' | 'give_up'; readonly result: AttemptResult }
  | { readonly next: 'retry'; readonly result: AttemptResult; readonly retryAfterSeconds?: number }

export interface AttemptOptions {
  readonly http: OutboundHttp
  readonly key: SigningKey
  readonly timeoutSeconds: number
  readonly signal: AbortSignal
}

/** What stands for the user where requests need no key. */
const NO_KEY_USER = 'local'
const MAX_RETRY_AFTER_SECONDS = 3600

/**
 * Sends one delivery. A 2xx is done; a 3xx and a target that this server does not reach out to are final; all else may
 * be better next time.
 */
export async function attemptDelivery(delivery: LeasedDelivery, options: AttemptOptions): Promise<Verdict> {
  const url = URL.canParse(delivery.url) ? new URL(delivery.url) : undefined
  if (url === undefined) return { next: 'give_up', result: { error: 'the webhook URL is not a URL' } }
  const body = Buffer.from(delivery.payload)
  const { requestId, keyId } = delivery
  const message = { requestId, userId: keyId ?? NO_KEY_USER, sentAt: new Date(), body }
  const headers = {
    'content-type': 'application/json',
    ...falHeaders(message, options.key),
  }
  const { timeoutSeconds, signal } = options
  try {
    return await options.http.send({ url, method: 'POST', headers, body, timeoutSeconds, signal }, judge)
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    const final = error.code === 'blocked' || error.code === 'invalid_url'
    return { next: final ? 'give_up' : 'retry', result: { error: `${error.code}: ${error.message}` } }
  }
}

async function judge(response: OutboundResponse): Promise<Verdict> {
  const { status, headers } = response
  await readRest(response)
  const retryAfterSeconds = parseRetryAfter(headers['retry-after'], new Date())
  if (status >= 200 && status < 300) return { next: 'done', result: { status } }
  if (status >= 300 && status < 400) {
    return { next: 'give_up', result: { status, error: 'the receiver redirects, and redirects are not followed' } }
  }
  const result = { status, error: `the receiver answered ${status}` }
  return { next: 'retry', result, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) }
}

/** Lets a receiver finish its answer, so that it sees no broken connection; a long or slow one is cut off. */
async function readRest({ body }: OutboundResponse): Promise<void> {
  const abort = new AbortController()
  const read = async () => {
    let size = 0
    for await (const chunk of body) {
      size += chunk.byteLength
      if (size > 64 * 1024) return
    }
  }
  const patience = delay(1000, undefined, { signal: abort.signal })
  // Whatever befalls the rest of the answer, its status has come.
  await Promise.race([read().catch(() => undefined), patience.catch(() => undefined)])
  abort.abort()
}

/** Seconds that `Retry-After` asks for, as a number or a date (RFC 9110, 10.2.3), at most an hour. */
export function parseRetryAfter(value: string | undefined, now: Date): number | undefined {
  if (value === undefined) return undefined
  const seconds = /^\s*\d+\s*$/.test(value) ? Number(value) : (Date.parse(value) - now.getTime()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_SECONDS)
}
