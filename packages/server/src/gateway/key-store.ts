/** `API` may call models; `ADMIN` may also read usage and manage keys. */
export type KeyScope = 'API' | 'ADMIN'

export interface VerifiedKey {
  readonly keyId: string
  readonly scope: KeyScope
}

export interface KeyInfo {
  readonly keyId: string
  readonly alias: string
  readonly scope: KeyScope
  readonly createdAt: Date
  readonly revokedAt?: Date
}

export interface CreatedKey extends KeyInfo {
  /** Shown once: only its hash is stored. */
  readonly secret: string
}

/** The keys that callers identify themselves with. */
export interface KeyStore {
  /** The key, or `undefined` when it does not exist, its secret is another, or it was revoked. */
  verify(keyId: string, secret: string): Promise<VerifiedKey | undefined>
  /** Whether the key exists and was not revoked, for what was made in its name before. */
  isValid(keyId: string): Promise<boolean>
  create(alias: string, scope: KeyScope): Promise<CreatedKey>
  /** Newest first, revoked ones included. */
  list(): Promise<readonly KeyInfo[]>
  /** False when there is no such key that is still valid. */
  revoke(keyId: string): Promise<boolean>
}
