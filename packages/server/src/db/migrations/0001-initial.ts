import { type CreateTableBuilder, type Kysely, type Migration, sql } from 'kysely'
import type { SqlDialect } from '../database.ts'
import type { Schema } from '../tables.ts'

/** Requests, their payloads and logs, runners, webhooks, keys and settings. */
export function initialMigration(dialect: SqlDialect): Migration {
  return {
    async up(query: Kysely<Schema>) {
      await createRequests(query, dialect)
      await createPayloadsAndLogs(query, dialect)
      await createRunners(query)
      await createWebhookDeliveries(query, dialect)
      await createKeysAndSettings(query)
    },
  }
}

/** A key that grows with every row. `autoincrement`: a number is not given again after its row was deleted. */
function withSerialKey<T extends string, C extends string>(
  table: CreateTableBuilder<T, C>,
  name: C,
  dialect: SqlDialect,
) {
  if (dialect === 'postgres') return table.addColumn(name, 'bigserial', (column) => column.primaryKey())
  return table.addColumn(name, 'integer', (column) => column.primaryKey().autoIncrement())
}

async function createRequests(query: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  let table = withSerialKey(query.schema.createTable('requests'), 'seq', dialect)
    .addColumn('request_id', 'text', (column) => column.notNull().unique())
    .addColumn('endpoint_id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('files_url', 'text', (column) => column.notNull())
  for (const name of ['priority', 'attempt', 'losses', 'cancel_requested', 'retry', 'store_io'] as const)
    table = table.addColumn(name, 'integer', (column) => column.notNull())
  for (const name of ['accepted_at', 'not_before'] as const)
    table = table.addColumn(name, 'bigint', (column) => column.notNull())
  for (const name of ['start_deadline', 'run_timeout_ms', 'run_deadline', 'started_at', 'lease_until'] as const)
    table = table.addColumn(name, 'bigint')
  for (const name of ['completed_at', 'expires_at'] as const) table = table.addColumn(name, 'bigint')
  for (const name of ['runner_id', 'key_id', 'webhook_url', 'runner_hint', 'object_lifecycle', 'headers'] as const)
    table = table.addColumn(name, 'text')
  for (const name of ['error_message', 'error_type'] as const) table = table.addColumn(name, 'text')
  table = table.addColumn('status', 'integer').addColumn('inference_seconds', 'double precision')
  // Every request's row is rewritten a few times: room on its page spares index writes, and vacuum must come by
  // long before the default of a fifth of the table is dead.
  if (dialect === 'postgres')
    table = table.modifyEnd(sql`with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)`)
  await table.execute()
  await createRequestIndexes(query)
}

/** Partial indexes: a statement uses them only where it says the state as a literal, not as a parameter (SQLite). */
async function createRequestIndexes(query: Kysely<Schema>): Promise<void> {
  // The queue of each endpoint in claim order: a claim reads its first entries however many wait.
  await sql`create index requests_queued on requests (endpoint_id, priority, seq) where state = 'queued'`.execute(query)
  await sql`create index requests_backoff on requests (not_before)
    where state = 'queued' and not_before > 0`.execute(query)
  await sql`create index requests_start_deadline on requests (start_deadline)
    where state = 'queued' and start_deadline is not null`.execute(query)
  await sql`create index requests_running on requests (endpoint_id) where state = 'running'`.execute(query)
  await sql`create index requests_expiry on requests (expires_at) where state = 'completed'`.execute(query)
  // Listings, newest first.
  await sql`create index requests_of_endpoint on requests (endpoint_id, seq)`.execute(query)
}

async function createPayloadsAndLogs(query: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await query.schema
    .createTable('payloads')
    .addColumn('request_id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('input', 'text', (column) => column.notNull())
    .addColumn('output', 'text')
    .execute()
  await withSerialKey(query.schema.createTable('logs'), 'id', dialect)
    .addColumn('request_id', 'text', (column) => column.notNull())
    .addColumn('logged_at', 'bigint', (column) => column.notNull())
    .addColumn('level', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('done', 'integer')
    .addColumn('total', 'integer')
    .execute()
  await query.schema.createIndex('logs_of_request').on('logs').columns(['request_id', 'id']).execute()
}

async function createRunners(query: Kysely<Schema>): Promise<void> {
  await query.schema
    .createTable('runners')
    .addColumn('runner_id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('advertisement', 'text', (column) => column.notNull())
    .addColumn('heard_at', 'bigint', (column) => column.notNull())
    .execute()
}

async function createWebhookDeliveries(query: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  await withSerialKey(query.schema.createTable('webhook_deliveries'), 'id', dialect)
    .addColumn('request_id', 'text', (column) => column.notNull())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('payload', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('next_attempt_at', 'bigint', (column) => column.notNull())
    .addColumn('lease_until', 'bigint')
    .addColumn('last_status', 'integer')
    .addColumn('last_error', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('delivered_at', 'bigint')
    .execute()
  await sql`create index webhook_deliveries_due on webhook_deliveries (next_attempt_at) where state = 'pending'`.execute(
    query,
  )
  await query.schema
    .createIndex('webhook_deliveries_of_request')
    .on('webhook_deliveries')
    .column('request_id')
    .execute()
}

async function createKeysAndSettings(query: Kysely<Schema>): Promise<void> {
  await query.schema
    .createTable('api_keys')
    .addColumn('id', 'text', (column) => column.primaryKey().notNull())
    .addColumn('secret_hash', 'text', (column) => column.notNull())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('alias', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('revoked_at', 'bigint')
    .execute()
  await query.schema
    .createTable('settings')
    .addColumn('key', 'text', (column) => column.primaryKey().notNull())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute()
}
