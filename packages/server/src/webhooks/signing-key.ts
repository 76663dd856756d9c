import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
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
