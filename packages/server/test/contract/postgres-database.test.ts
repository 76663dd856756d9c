import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/db/database.ts'
import { openDatabase } from '../../src/db/open-database.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { BACKENDS, type Opened } from './backends.ts'
import { ENDPOINT, submission } from './queue-samples.ts'

const backend = BACKENDS.find(({ name }) => name === 'PostgreSQL')

describe.skipIf(backend === undefined)('PostgreSQL', () => {
  let opened: Opened | undefined

  beforeAll(async () => {
    opened = await backend?.open()
  })
  afterAll(() => opened?.close())

  function database(): Database {
    if (opened === undefined) throw new Error('The database is opened by a hook that has not run yet.')
    return opened.database
  }

  const setting = async (durability: 'synced' | 'relaxed', name: string) => {
    const { rows } = await database().execute(durability, (query) =>
      sql<{ value: string }>`select current_setting(${name}) as value`.execute(query),
    )
    return rows[0]?.value
  }

  it('waits for the disk in synced writes only', async () => {
    expect(await setting('synced', 'synchronous_commit')).toBe('on')
    expect(await setting('relaxed', 'synchronous_commit')).toBe('off')
  })

  it('reads counts and times as numbers', async () => {
    const { rows } = await database().read((query) =>
      sql`select count(*) as n, 1767225600000::bigint as t`.execute(query),
    )
    expect(rows).toEqual([{ n: 1, t: 1767225600000 }])
  })

  it('goes on, and listens again, after the server cut its connections', async () => {
    const heard: string[] = []
    const { notifications } = database()
    await notifications?.listen('test_channel', (payload) => heard.push(payload))
    await notifications?.notify('test_channel', ['before'])
    await expect.poll(() => heard).toEqual(['before'])
    await cutConnections()
    await expect
      .poll(async () => {
        await notifications?.notify('test_channel', ['after']).catch(() => undefined)
        return heard
      })
      .toContain('after')
    await database().execute('synced', (query) =>
      query.insertInto('settings').values({ key: 'a', value: 'b' }).execute(),
    )
  })

  it('fails a unit of work whose connection breaks between two of its statements, and goes on', async () => {
    const broken = database().atomically('synced', async (query) => {
      await query.selectFrom('settings').selectAll().execute()
      await cutConnections()
      await new Promise((resolve) => setTimeout(resolve, 100)) // the news arrives while nobody waits for it
      await query.selectFrom('settings').selectAll().execute()
    })
    await expect(broken).rejects.toMatchObject({ failure: 'unavailable' })
    await database().read((query) => query.selectFrom('settings').selectAll().execute())
  })

  it('claims past requests that others hold', async () => {
    const queue = createRequestQueue(database())
    for (let i = 0; i < 40; i++) await queue.enqueue(submission(`r${i}`))
    await database().atomically('synced', async (query) => {
      await query.selectFrom('requests').select('seq').orderBy('seq').limit(35).forUpdate().execute()
      expect((await queue.claim('runner-1', [ENDPOINT], []))?.requestId).toBe('r35')
    })
    expect((await queue.claim('runner-1', [ENDPOINT], []))?.requestId).toBe('r0')
    await queue.close()
  })

  it('names a server that cannot be reached, without the password', async () => {
    const refused = openDatabase({ dataFolder: '/nowhere', databaseUrl: 'postgres://user:secret@127.0.0.1:1/darkroom' })
    await expect(refused).rejects.toMatchObject({ failure: 'unavailable' })
    await expect(refused).rejects.toThrow(/postgres:\/\/127\.0\.0\.1:1\/darkroom/)
    await expect(refused).rejects.not.toThrow(/secret/)
  })

  /** Ends every connection of this test's database, but for the one that asks. */
  async function cutConnections(): Promise<void> {
    await database()
      .read((query) =>
        sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()
          and application_name = current_setting('application_name')`.execute(query),
      )
      .catch(() => undefined)
  }
})
