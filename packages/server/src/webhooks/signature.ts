import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { z } from 'zod'
import type { Database } from '../db/database.ts'
import { storedSetting } from '../db/stored-setting.ts'

/** A public Ed25519 key as `/.well-known/jwks.json` lists it (RFC 8037). */
export interface PublicJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly kid: string
  readonly use: 'sig'
  readonly alg: 'EdDSA'
}

export interface SigningKey {
  readonly privateKey: KeyObject
  readonly publicJwk: PublicJwk
}

const SETTING = 'webhook_signing_key'
const okp = z.object({ crv: z.literal('Ed25519'), x: z.string() })

/** The key that signs webhooks: made at the first start, and the same for every gateway on the database from then on. */
export async function loadSigningKey(database: Database): Promise<SigningKey> {
  const pem = await storedSetting(database, SETTING, newPrivateKey)
  const privateKey = createPrivateKey(pem)
  const { x } = okp.parse(createPublicKey(privateKey).export({ format: 'jwk' }))
  return { privateKey, publicJwk: { kty: 'OKP', crv: 'Ed25519', x, kid: thumbprint(x), use: 'sig', alg: 'EdDSA' } }
}

function newPrivateKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
}

/** RFC 7638. */
function thumbprint(x: string): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url')
}

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
