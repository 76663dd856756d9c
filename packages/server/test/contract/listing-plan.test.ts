import { CompiledQuery, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/db/database.ts'
import type { ListingOrder } from '../../src/queue/request-queue.ts'
import { pageStatement } from '../../src/queue/statements/listing.ts'
import { BACKENDS, type Opened } from './backends.ts'
import { ENDPOINT } from './queue-samples.ts'

// A database of its own: libsql leaves the transaction of an "explain" open, so nothing may be written after it.
describe.each(BACKENDS)('a sorted listing on $name', (backend) => {
  let opened: Opened

  beforeAll(async () => {
    opened = await backend.open()
  }, 120_000)
  afterAll(() => opened.close())

  it.each([
    ['ended', 'requests_by_end'],
    ['duration', 'requests_by_duration'],
  ] as const)('by %s reads %s and sorts nothing', async (order, index) => {
    const plan = await planOf(opened.database, order)
    expect(plan).toContain(index)
    expect(plan).not.toMatch(/sort|temp b-tree/i)
  })
})

/** How the database would read a page behind another, were its tables large. */
function planOf(database: Database, order: ListingOrder): Promise<string> {
  const postgres = database.capabilities.dialect === 'postgres'
  return database.atomically('relaxed', async (query) => {
    // PostgreSQL sorts a small table rather than walk an index.
    const avoided = postgres ? ['seqscan', 'bitmapscan', 'sort'] : []
    for (const way of avoided) await sql`set local enable_${sql.raw(way)} = off`.execute(query)
    const filter = { account: 'default', endpointId: ENDPOINT, limit: 5, order, cursor: `${order}.5000.7` }
    const { sql: statement, parameters } = pageStatement(query, filter).compile()
    const explain = postgres ? 'explain' : 'explain query plan'
    const { rows } = await query.executeQuery(CompiledQuery.raw(`${explain} ${statement}`, [...parameters]))
    return JSON.stringify(rows)
  })
}
