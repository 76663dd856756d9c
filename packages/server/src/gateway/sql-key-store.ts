import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Database } from '../db/database.ts'
import type { ApiKeysTable } from '../db/tables.ts'
import type { CreatedKey, KeyInfo, KeyScope, KeyStore, VerifiedKey } from './key-store.ts'

const SECRET_BYTES = 32

/**
 * Keys in the table `api_keys`. A secret is 256 random bits, so one round of SHA-256 keeps it: there is no dictionary
 * that a slow hash would have to hold off, and every request is verified.
 */
export function createSqlKeyStore(database: Database): KeyStore {
  return new SqlKeyStore(database)
}

class SqlKeyStore implements KeyStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async verify(keyId: string, secret: string): Promise<VerifiedKey | undefined> {
    const row = await this.#find(keyId)
    // Hashes even for an unknown id, so that the time does not tell whether it exists.
    const given = hash(secret)
    const stored = row === undefined ? Buffer.alloc(given.length) : Buffer.from(row.secret_hash, 'hex')
    const matches = stored.length === given.length && timingSafeEqual(given, stored)
    if (row === undefined || !matches || row.revoked_at !== null) return undefined
    return verified(row)
  }

  async find(keyId: string): Promise<VerifiedKey | undefined> {
    const row = await this.#find(keyId)
    return row === undefined || row.revoked_at !== null ? undefined : verified(row)
  }

  async create(alias: string, scope: KeyScope, account: string): Promise<CreatedKey> {
    const key: CreatedKey = {
      keyId: randomUUID(),
      secret: randomBytes(SECRET_BYTES).toString('hex'),
      alias,
      account,
      scope,
      createdAt: new Date(),
    }
    const row = {
      id: key.keyId,
      secret_hash: hash(key.secret).toString('hex'),
      account,
      scope,
      alias,
      created_at: key.createdAt.getTime(),
      revoked_at: null,
    }
    await this.#database.execute('synced', (query) => query.insertInto('api_keys').values(row).execute())
    return key
  }

  async list(account?: string): Promise<readonly KeyInfo[]> {
    const rows = await this.#database.read((query) =>
      query
        .selectFrom('api_keys')
        .selectAll()
        .$if(account !== undefined, (select) => select.where('account', '=', account ?? ''))
        .orderBy('created_at', 'desc')
        .execute(),
    )
    return rows.map((row) => ({
      keyId: row.id,
      alias: row.alias,
      account: row.account,
      scope: row.scope,
      createdAt: new Date(row.created_at),
      ...(row.revoked_at === null ? {} : { revokedAt: new Date(row.revoked_at) }),
    }))
  }

  async revoke(keyId: string, account?: string): Promise<boolean> {
    const [result] = await this.#database.execute('synced', (query) =>
      query
        .updateTable('api_keys')
        .set({ revoked_at: Date.now() })
        .where('id', '=', keyId)
        .where('revoked_at', 'is', null)
        .$if(account !== undefined, (update) => update.where('account', '=', account ?? ''))
        .execute(),
    )
    return Number(result?.numUpdatedRows ?? 0) > 0
  }

  #find(keyId: string) {
    return this.#database.read((query) =>
      query.selectFrom('api_keys').selectAll().where('id', '=', keyId).executeTakeFirst(),
    )
  }
}

function verified({ id, account, scope }: Selectable<ApiKeysTable>): VerifiedKey {
  return { keyId: id, account, scope }
}

function hash(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest()
}
