import { createHash, sign } from 'node:crypto'
import type { SigningKey } from './signing-key.ts'

export interface SignedMessage {
  readonly requestId: string
  /** Key id of whoever submitted the request. */
  readonly userId: string
  readonly sentAt: Date
  /** The body, byte for byte as it is sent. */
  readonly body: Uint8Array
}

/**
 * fal's four headers. Signed are four lines joined by "\n": request id, user id, Unix seconds, and the body's SHA-256 in
 * lower-case hex (https://docs.fal.ai, "Webhooks").
 */
export function falHeaders(message: SignedMessage, { privateKey }: SigningKey): Record<string, string> {
  const { requestId, userId, body } = message
  const timestamp = unixSeconds(message.sentAt)
  const digest = createHash('sha256').update(body).digest('hex')
  const signed = Buffer.from([requestId, userId, timestamp, digest].join('\n'))
  return {
    'x-fal-webhook-request-id': requestId,
    'x-fal-webhook-user-id': userId,
    'x-fal-webhook-timestamp': timestamp,
    'x-fal-webhook-signature': sign(null, signed, privateKey).toString('hex'),
  }
}

function unixSeconds(date: Date): string {
  return String(Math.floor(date.getTime() / 1000))
}
