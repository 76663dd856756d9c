/** `API` may call models; `ADMIN` may also manage the account's keys and, in the default account, the server. */
export type KeyScope = 'API' | 'ADMIN'

export interface VerifiedKey {
  readonly keyId: string
  readonly account: string
  readonly scope: KeyScope
}

export interface KeyInfo {
  readonly keyId: string
  /** Keys of an account see and change each other's requests and files, and nobody else's. */
  readonly account: string
  readonly alias: string
  readonly scope: KeyScope
  readonly createdAt: Date
  readonly revokedAt?: Date
}

export interface CreatedKey extends KeyInfo {
  /** Shown once: only its hash is stored. */
  readonly secret: string
}

/** What an account may be called. */
export function isAccountName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)
}

/** The keys that callers identify themselves with. */
export interface KeyStore {
  /** The key, or `undefined` when it does not exist, its secret is another, or it was revoked. */
  verify(keyId: string, secret: string): Promise<VerifiedKey | undefined>
  /** The key, if it exists and was not revoked, for what was made in its name before. */
  find(keyId: string): Promise<VerifiedKey | undefined>
  create(alias: string, scope: KeyScope, account: string): Promise<CreatedKey>
  /** Newest first, revoked ones included; of one account, or all. */
  list(account?: string): Promise<readonly KeyInfo[]>
  /** False when there is no such key, of the account if one is said, that is still valid. */
  revoke(keyId: string, account?: string): Promise<boolean>
}
