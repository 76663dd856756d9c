import type { Database } from '../db/database.ts'
import { readSetting, writeSetting } from '../db/stored-setting.ts'
import { LifecycleDefaults } from '../storage/lifecycle-defaults.ts'

const SETTING = 'storage-settings'

/** The server's default lifecycle of stored files, kept in its database. */
export function lifecycleDefaults(database: Database): LifecycleDefaults {
  return new LifecycleDefaults({
    read: () => readSetting(database, SETTING),
    write: (json) => writeSetting(database, SETTING, json),
  })
}
