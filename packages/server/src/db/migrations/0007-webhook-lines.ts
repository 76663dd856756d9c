import { type Kysely, type Migration, sql } from 'kysely'
import type { Schema } from '../tables.ts'

/** A line of deliveries for each account and host, so that a million of one are not read past to find another's. */
export const webhookLinesMigration: Migration = {
  async up(query: Kysely<Schema>) {
    for (const column of ['account', 'host']) {
      await query.schema
        .alterTable('webhook_deliveries')
        .addColumn(column, 'text', (text) => text.notNull().defaultTo(''))
        .execute()
    }
    const ofRequest = (column: string) =>
      sql`coalesce((select ${sql.ref(column)} from requests where requests.request_id = webhook_deliveries.request_id), '')`
    await sql`update webhook_deliveries set account = ${ofRequest('requests.account')}, host = ${ofRequest('requests.webhook_host')}
      where state = 'pending'`.execute(query)
    await sql`update webhook_deliveries set next_attempt_at = lease_until
      where state = 'pending' and lease_until > next_attempt_at`.execute(query)
    await query.schema.dropIndex('webhook_deliveries_due').execute()
    await sql`create index webhook_deliveries_lines on webhook_deliveries (account, host, next_attempt_at)
      where state = 'pending'`.execute(query)
  },
}
