import type { Database } from './database.ts'

/**
 * The value of a setting that is made once and kept, such as a signing key. When several processes start at once, one
 * of them makes it and all of them get the same.
 */
export async function storedSetting(database: Database, key: string, create: () => string): Promise<string> {
  const stored = await readSetting(database, key)
  if (stored !== undefined) return stored
  const value = create()
  await database.execute('synced', (query) =>
    query
      .insertInto('settings')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .execute(),
  )
  return (await readSetting(database, key)) ?? value
}

/** Replaces the value of a setting, or makes it. */
export async function writeSetting(database: Database, key: string, value: string): Promise<void> {
  await database.execute('synced', (query) =>
    query
      .insertInto('settings')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute(),
  )
}

/** `undefined` when it was never made. */
export async function readSetting(database: Database, key: string): Promise<string | undefined> {
  const row = await database.read((query) =>
    query.selectFrom('settings').select('value').where('key', '=', key).executeTakeFirst(),
  )
  return row?.value
}
