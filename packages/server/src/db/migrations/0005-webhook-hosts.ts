import type { Kysely, Migration } from 'kysely'
import type { Schema } from '../tables.ts'

/** Where a request's webhook goes, so that deliveries are chosen by it; those from before share what has none. */
export const webhookHostsMigration: Migration = {
  async up(query: Kysely<Schema>) {
    await query.schema.alterTable('requests').addColumn('webhook_host', 'text').execute()
  },
}
