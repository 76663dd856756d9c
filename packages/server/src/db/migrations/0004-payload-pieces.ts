import { type Kysely, type Migration, sql } from 'kysely'
import type { SqlDialect } from '../database.ts'
import type { Schema } from '../tables.ts'

/** Bodies of some length as pieces that are stored once by their content, so that they are read and counted in part. */
export function payloadPiecesMigration(dialect: SqlDialect): Migration {
  return {
    async up(query: Kysely<Schema>) {
      for (const part of ['input', 'output'] as const) {
        await query.schema.alterTable('payloads').addColumn(`${part}_bytes`, 'bigint').execute()
        await query.schema
          .alterTable('payloads')
          .addColumn(`${part}_pieces`, 'integer', (column) => column.notNull().defaultTo(0))
          .execute()
      }
      await query.schema
        .createTable('payload_contents')
        .addColumn('sha256', 'text', (column) => column.primaryKey().notNull())
        .addColumn('content', 'text', (column) => column.notNull())
        .addColumn('bytes', 'integer', (column) => column.notNull())
        .addColumn('uses', 'integer', (column) => column.notNull())
        .execute()
      // Summed without a look at the contents.
      await sql`create index payload_contents_bytes on payload_contents (bytes)`.execute(query)
      const pieces = query.schema.createTable('payload_pieces')
      await (dialect === 'postgres'
        ? pieces.addColumn('id', 'bigserial', (column) => column.primaryKey())
        : pieces.addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
      )
        .addColumn('request_id', 'text', (column) => column.notNull())
        .addColumn('part', 'text', (column) => column.notNull())
        .addColumn('position', 'integer', (column) => column.notNull())
        .addColumn('sha256', 'text', (column) => column.notNull())
        .execute()
      await sql`create index payload_pieces_of_request on payload_pieces (request_id, part, position)`.execute(query)
    },
  }
}
