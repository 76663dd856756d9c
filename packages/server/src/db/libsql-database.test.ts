import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import Libsql from 'libsql'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { runCommand } from '../../test/fakes/run-command.ts'
import type { Database } from './database.ts'
import { DatabaseError } from './database-error.ts'
import { openLibsqlDatabase } from './libsql-database.ts'
import { openDatabase } from './open-database.ts'

let folder: string
const opened: Database[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'darkroom-'))
})

afterEach(async () => {
  for (const database of opened.splice(0)) await database.close()
  rmSync(folder, { recursive: true })
})

async function open(file = join(folder, 'darkroom.db'), busyTimeoutMs = 100): Promise<Database> {
  const database = await openLibsqlDatabase(file, { busyTimeoutMs })
  opened.push(database)
  return database
}

const set = (database: Database, durability: 'synced' | 'relaxed', key: string, value: string) =>
  database.execute(durability, (query) => query.insertInto('settings').values({ key, value }).execute())

const keys = (database: Database) =>
  database.read(async (query) => {
    const rows = await query.selectFrom('settings').select('key').orderBy('key').execute()
    return rows.map((row) => row.key)
  })

it('fsyncs every commit of synced writes only, and never writes while reading', async () => {
  const database = await open()
  const pragma = async (name: string) => sql<Record<string, number>>`${sql.raw(`pragma ${name}`)}`
  const synchronous = async (durability: 'synced' | 'relaxed') =>
    (await database.execute(durability, async (query) => (await pragma('synchronous')).execute(query))).rows
  expect(await synchronous('synced')).toEqual([{ synchronous: 2 }]) // full
  expect(await synchronous('relaxed')).toEqual([{ synchronous: 1 }]) // normal
  await expect(
    database.read((query) => query.insertInto('settings').values({ key: 'a', value: '' }).execute()),
  ).rejects.toMatchObject({ failure: 'readonly' })
})

it('runs units of both connections, and of another opener, one after the other', async () => {
  const first = await open()
  symlinkSync(folder, `${folder}-link`)
  const second = await open(join(`${folder}-link`, 'darkroom.db'))
  rmSync(`${folder}-link`)
  const unit = (database: Database, durability: 'synced' | 'relaxed', name: string) =>
    database.atomically(durability, async (query) => {
      for (let i = 0; i < 20; i++)
        await query
          .insertInto('settings')
          .values({ key: `${name}${i}`, value: '' })
          .execute()
    })
  await Promise.all([unit(first, 'synced', 'a'), unit(first, 'relaxed', 'b'), unit(second, 'synced', 'c')])
  expect(await keys(second)).toHaveLength(60)
})

it('undoes a unit that fails, and hides it from readers until it is done', async () => {
  const database = await open()
  const seen: string[][] = []
  const failing = database.atomically('synced', async (query) => {
    await query.insertInto('settings').values({ key: 'a', value: '' }).execute()
    seen.push(await keys(database))
    await query.insertInto('settings').values({ key: 'a', value: '' }).execute()
  })
  await expect(failing).rejects.toMatchObject({ failure: 'constraint' })
  seen.push(await keys(database))
  expect(seen).toEqual([[], []])
})

it('refuses a parameter of a type the driver would die of', async () => {
  const database = await open()
  const ask = (value: unknown) => database.read((query) => sql`select ${value} as x`.execute(query))
  await expect(ask(true)).rejects.toThrow(/got boolean/)
  await expect(ask({})).rejects.toThrow(/got object/)
  expect((await ask('text')).rows).toEqual([{ x: 'text' }])
})

it('says what to do when the disk is full, and goes on once there is room', async () => {
  const database = await open()
  const limit = (pages: number) =>
    database.execute('synced', (query) => sql.raw(`pragma max_page_count = ${pages}`).execute(query))
  await limit(1)
  const refused = set(database, 'synced', 'big', 'x'.repeat(200_000))
  await expect(refused).rejects.toThrow(/darkroom\.db: .* free some space/)
  await expect(refused).rejects.toMatchObject({ failure: 'full', retryable: true })
  const unit = database.atomically('synced', (query) =>
    query
      .insertInto('settings')
      .values({ key: 'big', value: 'x'.repeat(200_000) })
      .execute(),
  )
  await expect(unit).rejects.toMatchObject({ failure: 'full' }) // rolled back by SQLite itself
  await limit(1_000_000)
  await set(database, 'synced', 'big', 'x'.repeat(200_000))
  expect(await keys(database)).toEqual(['big'])
})

it('keeps other processes from writing between what a unit reads and what it writes', async () => {
  const database = await open()
  const other = new Libsql(join(folder, 'darkroom.db'))
  await database.atomically('relaxed', async (query) => {
    await query.selectFrom('settings').selectAll().execute()
    expect(() => other.exec('begin immediate')).toThrow(/locked/)
  })
  other.close()
})

it('waits for another process that writes, and holds up nothing else of this one meanwhile', async () => {
  const database = await open(undefined, 60_000)
  const other = new Libsql(join(folder, 'darkroom.db'))
  other.exec('begin immediate')
  const writes = Promise.all([
    set(database, 'synced', 'a', ''),
    database.atomically('relaxed', (query) => query.insertInto('settings').values({ key: 'b', value: '' }).execute()),
  ])
  // Of both connections, and some times: were the thread held up in SQLite, what is below would never come to pass.
  for (let look = 0; look < 5; look++) {
    await setTimeout(10)
    expect(await keys(database)).toEqual([])
  }
  other.exec('commit')
  other.close()
  await writes
  expect(await keys(database)).toEqual(['a', 'b'])
})

it('says when another process holds the file too long', async () => {
  const database = await open()
  const other = new Libsql(join(folder, 'darkroom.db'))
  other.exec('begin immediate')
  await expect(set(database, 'synced', 'a', '')).rejects.toMatchObject({ failure: 'unavailable' })
  other.exec('rollback')
  other.close()
  await set(database, 'synced', 'a', '')
})

it('names a file that is no database, and a folder that cannot be', async () => {
  const file = join(folder, 'notes.txt')
  writeFileSync(file, 'these are my notes, and they are rather longer than a database header is\n'.repeat(40))
  await expect(openLibsqlDatabase(file)).rejects.toThrow(/notes\.txt/)
  await expect(openDatabase({ dataFolder: join(file, 'folder') })).rejects.toMatchObject({ failure: 'readonly' })
  await expect(openDatabase({ dataFolder: folder, databaseUrl: 'mysql://u:secret@host/x' })).rejects.toThrow(
    /got a URL of the scheme mysql/,
  )
})

it('refuses a database of a newer version', async () => {
  const database = await open()
  await database.execute('synced', (query) =>
    sql`insert into darkroom_migrations (name, timestamp) values ('9999-future', '2030-01-01')`.execute(query),
  )
  await expect(open()).rejects.toThrow(DatabaseError)
  await expect(open()).rejects.toThrow(
    /written by a newer version of Darkroom: start that version, or restore a backup/,
  )
})

it('runs a statement again after it failed, after others pushed it out, and after another process changed its table', async () => {
  const file = join(folder, 'darkroom.db')
  const database = await open(file)
  await set(database, 'relaxed', 'a', '1')
  await expect(set(database, 'relaxed', 'a', '2')).rejects.toMatchObject({ failure: 'constraint' })
  await set(database, 'relaxed', 'b', '2')
  const all = () => database.read((query) => query.selectFrom('settings').selectAll().orderBy('key').execute())
  expect(await all()).toEqual([
    { key: 'a', value: '1' },
    { key: 'b', value: '2' },
  ])
  for (let i = 0; i < 200; i++) {
    const { rows } = await database.read((query) => sql.raw<{ n: number }>(`select ${i} as n`).execute(query))
    expect(rows).toEqual([{ n: i }])
  }
  const other = new Libsql(file)
  other.exec("alter table settings add column note text default 'new'")
  other.close()
  await set(database, 'relaxed', 'c', '3')
  expect((await all()).at(-1)).toEqual({ key: 'c', value: '3', note: 'new' })
})

it('is closed in a process that nothing else keeps alive', async () => {
  const script = `
    import { openLibsqlDatabase } from ${JSON.stringify(new URL('./libsql-database.ts', import.meta.url).href)}
    const database = await openLibsqlDatabase(${JSON.stringify(join(folder, 'darkroom.db'))})
    const write = (i) => database.execute('relaxed', (query) =>
      query.insertInto('settings').values({ key: String(i), value: '' }).execute())
    for (let i = 0; i < 100; i++) await write(i)
    await database.close()
    console.log('closed')`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script]
  expect(await runCommand(process.execPath, args, { environment: {} })).toBe('closed\n')
})

it('checkpoints while it is written to', async () => {
  const file = join(folder, 'darkroom.db')
  const database = await open(file)
  const before = statSync(file).size
  const large = 'x'.repeat(4096)
  for (let i = 0; i < 200; i++) await set(database, 'relaxed', `key ${i}`, large)
  // Written into the file itself, though far from what makes SQLite do it in a commit.
  await expect.poll(() => statSync(file).size).toBeGreaterThan(before + 100 * 4096)
})
