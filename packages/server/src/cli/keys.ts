import { mkdir } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { isAccountName, type KeyScope, type KeyStore } from '../gateway/key-store.ts'
import { createSqlKeyStore } from '../gateway/sql-key-store.ts'
import { openBackingStores } from '../processes/stores.ts'
import { UserError } from './user-error.ts'

/** `darkroom keys create`: prints the key once; only its hash is kept. */
export async function createKey(config: Config, alias: string, scope: KeyScope, account: string): Promise<void> {
  if (!isAccountName(account))
    throw new UserError(`--account: expected 1 to 64 letters, digits, ".", "_" and "-", found ${account}`)
  await withKeys(config, async (keys) => {
    const { keyId, secret } = await keys.create(alias, scope, account)
    console.log(`${keyId}:${secret}`)
    console.error('This is the only time the secret is shown. Clients read it from FAL_KEY.')
  })
}

/** `darkroom keys list`: newest first; of one account, or all. */
export async function listKeys(config: Config, account: string | undefined): Promise<void> {
  await withKeys(config, async (keys) => {
    const listed = await keys.list(account)
    if (listed.length === 0) console.error('There are no keys; darkroom keys create makes one.')
    for (const { keyId, account: owner, scope, alias, createdAt, revokedAt } of listed) {
      const state = revokedAt === undefined ? 'valid' : `revoked ${revokedAt.toISOString()}`
      console.log([keyId, owner, scope.padEnd(5), createdAt.toISOString(), state, alias].join('  '))
    }
  })
}

/** `darkroom keys revoke`: refused from the next call on. */
export async function revokeKey(config: Config, keyId: string): Promise<void> {
  await withKeys(config, async (keys) => {
    if (!(await keys.revoke(keyId))) throw new UserError(`there is no valid key ${keyId}; see darkroom keys list`)
    console.log(`${keyId} is revoked`)
  })
}

/** Keys are rows: a running server sees the change at once. */
async function withKeys(config: Config, work: (keys: KeyStore) => Promise<void>): Promise<void> {
  await mkdir(config.dataFolder, { recursive: true })
  const stores = await openBackingStores(config)
  try {
    await work(createSqlKeyStore(stores.database))
  } finally {
    await stores.close()
  }
}
