import { type Kysely, type Migration, sql } from 'kysely'
import type { Schema } from '../tables.ts'

/** Finished requests of an endpoint by their end and by the time they took: the orders of the Platform API's listing. */
export const listingOrdersMigration: Migration = {
  async up(query: Kysely<Schema>) {
    await sql`create index requests_by_end on requests (endpoint_id, completed_at, seq) where state = 'completed'`.execute(
      query,
    )
    await sql`create index requests_by_duration on requests (endpoint_id, (completed_at - started_at), seq)
      where state = 'completed' and started_at is not null`.execute(query)
  },
}
