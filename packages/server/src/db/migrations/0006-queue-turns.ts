import { type Kysely, type Migration, sql } from 'kysely'
import type { Schema } from '../tables.ts'

/** Accounts take turns in the queue. What waits already is of one turn, in the order in which it came. */
export const queueTurnsMigration: Migration = {
  async up(query: Kysely<Schema>) {
    await query.schema
      .alterTable('requests')
      .addColumn('turn', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
    await query.schema.dropIndex('requests_queued').execute()
    // The queue of each endpoint in claim order: a claim reads its first entries however many wait.
    await sql`create index requests_queued on requests (endpoint_id, priority, turn, seq) where state = 'queued'`.execute(
      query,
    )
    // An account's last turn in it. An expression, so that PostgreSQL does not take the index above for it, whose statistics are as old as
    // its last vacuum, and read all that wait of others.
    await sql`create index requests_queued_of_account on requests (account, endpoint_id, priority, turn)
      where state || '' = 'queued'`.execute(query)
  },
}
