import { randomBytes } from 'node:crypto'
import type { Database } from '../db/database.ts'
import { readSetting, storedSetting, writeSetting } from '../db/stored-setting.ts'
import { LifecycleDefaults } from '../storage/lifecycle-defaults.ts'

/** A secret that is made once and is the same in every process of the database. */
export async function sharedSecret(database: Database, name: SecretName): Promise<Uint8Array> {
  return Buffer.from(await storedSetting(database, name, () => randomBytes(32).toString('base64')), 'base64')
}

/** `upload-secret` signs upload and download URLs, `token-secret` the tokens of browsers. */
export type SecretName = 'upload-secret' | 'token-secret'

const SETTING = 'storage-settings'

/** The server's default lifecycle of stored files, kept in its database. */
export function lifecycleDefaults(database: Database): LifecycleDefaults {
  return new LifecycleDefaults({
    read: () => readSetting(database, SETTING),
    write: (json) => writeSetting(database, SETTING, json),
  })
}
