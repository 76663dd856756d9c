import { join } from 'node:path'
import { DummyDriver, Kysely, PostgresAdapter, PostgresQueryCompiler, SqliteAdapter, SqliteQueryCompiler } from 'kysely'
import { describe, expect, it } from 'vitest'
import type { Database, Query, SqlDialect } from '../../src/db/database.ts'
import { PostgresDatabase } from '../../src/db/postgres-database.ts'
import type { Schema } from '../../src/db/tables.ts'
import { LocalEvents } from '../../src/queue/events/local-events.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { BACKENDS } from './backends.ts'
import { DONE, ENDPOINT, submission } from './queue-samples.ts'

/**
 * The text of the statements that every request costs, in both dialects, beside this file: whoever changes one sees it in the
 * review, with the indexes it is made for in mind. What the statements do is the queue's contract test.
 */
describe('hot statements', () => {
  it.each(['sqlite', 'postgres'] as const)('are these on %s', async (dialect) => {
    const statements: string[] = []
    const database = await recordingDatabase(dialect, statements)
    const queue = createRequestQueue(database, { events: new LocalEvents(), now: () => new Date(0) })
    const claim = { requestId: 'r', attempt: 1 }
    const calls: Record<string, () => Promise<unknown>> = {
      enqueue: () => queue.enqueue(submission('r')),
      claim: () => queue.claim('runner', [ENDPOINT, 'fal-ai/lora'], [ENDPOINT]),
      peek: () => queue.peek('runner', [ENDPOINT, 'fal-ai/lora'], [ENDPOINT]),
      heartbeat: () => queue.heartbeat('runner', [claim]),
      'append logs': () => queue.appendLogs(claim, [{ timestamp: new Date(0), level: 'INFO', message: 'step' }]),
      complete: () => queue.complete(claim, DONE),
      status: () => queue.status('r'),
      position: () => queue.position('r'),
      result: () => queue.get('r'),
    }
    let text = ''
    for (const [name, call] of Object.entries(calls)) {
      statements.length = 0
      // Nothing answers here, and some calls want an answer: the statements before it are what matters.
      await call().catch(() => undefined)
      expect(statements, name).not.toEqual([])
      text += `-- ${name}\n${statements.map((sql) => `${sql.replace(/\s+/g, ' ').trim()};\n`).join('')}\n`
    }
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'hot-statements', `${dialect}.sql`))
    await queue.close()
  })
})

/** A database that notes its statements' texts and answers every one with no rows. */
async function recordingDatabase(dialect: SqlDialect, statements: string[]): Promise<Database> {
  const query: Query = new Kysely<Schema>({
    dialect: {
      createDriver: () => new DummyDriver(),
      createAdapter: () => (dialect === 'sqlite' ? new SqliteAdapter() : new PostgresAdapter()),
      createQueryCompiler: () => (dialect === 'sqlite' ? new SqliteQueryCompiler() : new PostgresQueryCompiler()),
      createIntrospector: () => {
        throw new Error('nothing looks into this database')
      },
    },
    log: ({ query: { sql } }) => {
      statements.push(sql)
    },
  })
  const work = <T>(run: (query: Query) => Promise<T>) => run(query)
  return {
    capabilities: await capabilitiesOf(dialect, query),
    read: work,
    execute: (_durability, run) => work(run),
    atomically: (_durability, run) => work(run),
    close: async () => {},
  }
}

async function capabilitiesOf(dialect: SqlDialect, query: Query): Promise<Database['capabilities']> {
  if (dialect === 'postgres') {
    const notifications = { notify: async () => {}, listen: async () => () => {} }
    return new PostgresDatabase({
      name: '',
      queries: { synced: query, relaxed: query },
      notifications,
      close: async () => {},
    }).capabilities
  }
  const opened = await BACKENDS.find(({ name }) => name === 'libsql')?.open()
  if (opened === undefined) throw new Error('there is no libsql backend')
  const { capabilities } = opened.database
  await opened.close()
  return capabilities
}
