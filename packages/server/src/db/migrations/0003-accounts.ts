import { type Kysely, type Migration, sql } from 'kysely'
import type { Schema } from '../tables.ts'

/** Keys and requests belong to an account; what was there before, to the one that is everybody's. Listings are of one account. */
export const accountsMigration: Migration = {
  async up(query: Kysely<Schema>) {
    for (const table of ['api_keys', 'requests'] as const) {
      await query.schema
        .alterTable(table)
        .addColumn('account', 'text', (column) => column.notNull().defaultTo('default'))
        .execute()
    }
    for (const index of ['requests_of_endpoint', 'requests_by_end', 'requests_by_duration']) {
      await query.schema.dropIndex(index).execute()
    }
    await sql`create index requests_of_endpoint on requests (account, endpoint_id, seq)`.execute(query)
    await sql`create index requests_by_end on requests (account, endpoint_id, completed_at, seq)
      where state = 'completed'`.execute(query)
    await sql`create index requests_by_duration on requests (account, endpoint_id, (completed_at - started_at), seq)
      where state = 'completed' and started_at is not null`.execute(query)
  },
}
