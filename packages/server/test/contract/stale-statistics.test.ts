import { CompiledQuery, type KyselyPlugin, type RootOperationNode, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database, Query } from '../../src/db/database.ts'
import type { ClaimToken, RequestQueue } from '../../src/queue/request-queue.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { WebhookOutbox } from '../../src/webhooks/webhook-outbox.ts'
import { BACKENDS, type Opened } from './backends.ts'
import { claimed, DONE, ENDPOINT, submission } from './queue-samples.ts'

const ENDED = 300
const WAITING = 1500

// SQLite keeps no statistics of its own accord.
describe.each(BACKENDS.filter(({ name }) => name !== 'libsql'))(
  'a queue on $name that was analyzed empty',
  (backend) => {
    const statements: CompiledQuery[] = []
    let opened: Opened
    let queue: RequestQueue
    let claim: ClaimToken
    let outbox: WebhookOutbox

    beforeAll(async () => {
      opened = await backend.open()
      await insertRequests(opened.database, ENDED, 'completed')
      await opened.database.execute('relaxed', (query) =>
        sql`vacuum (analyze) requests, webhook_deliveries`.execute(query),
      )
      await insertRequests(opened.database, WAITING, 'queued')
      await insertDeliveries(opened.database, WAITING)
      outbox = new WebhookOutbox(recording(opened.database, statements))
      queue = createRequestQueue(recording(opened.database, statements))
      claim = await claimed(queue)
    }, 120_000)

    afterAll(async () => {
      await queue.close()
      await opened.close()
    })

    const operations: Readonly<Record<string, () => Promise<unknown>>> = {
      enqueue: () => queue.enqueue(submission('last')),
      'enqueue of another account': () => queue.enqueue(submission('other', { account: 'other' })),
      claim: () => queue.claim('runner-2', [ENDPOINT], []),
      'claim what is warm': () => queue.claim('runner-2', [ENDPOINT], [ENDPOINT]),
      heartbeat: () => queue.heartbeat('runner-1', [claim]),
      'append logs': () => queue.appendLogs(claim, [{ timestamp: new Date(), level: 'INFO', message: 'step 1' }]),
      status: () => queue.status('queued-1000'),
      position: () => queue.position('queued-1000'),
      cancel: () => queue.cancel('queued-1001'),
      complete: () => queue.complete(claim, DONE),
      'lease a webhook': () =>
        outbox.lease({ firstAttempt: 45, laterAttempts: 150 }, { accounts: [], hosts: ['host1.test'] }),
    }

    it.each(Object.keys(operations))('reads no more of it than it needs: %s', async (name) => {
      statements.length = 0
      await operations[name]?.()
      const seen = [...statements]
      expect(seen.length).toBeGreaterThan(0)
      for (const statement of seen) expect(await wholeReads(opened.database, statement)).toEqual([])
    })
  },
)

async function insertRequests(database: Database, count: number, state: 'queued' | 'completed'): Promise<void> {
  await database.execute('relaxed', (query) =>
    sql`insert into requests (request_id, endpoint_id, kind, state, files_url, priority, attempt, losses, cancel_requested,
        retry, store_io, accepted_at, not_before, completed_at, expires_at)
      select ${state}::text || '-' || i, ${ENDPOINT}, 'queue', ${state}, '', 1, 0, 0, 0, 1, 1, 0, 0, 0, 0
      from generate_series(1, ${count}::integer) as i`.execute(query),
  )
}

/** Of two accounts, one of which has nearly all, to two hosts each. */
async function insertDeliveries(database: Database, count: number): Promise<void> {
  await database.execute('relaxed', (query) =>
    sql`insert into webhook_deliveries (request_id, url, payload, state, account, host, attempts, next_attempt_at, created_at)
      select 'ended-' || i, 'http://host' || i % 2 || '.test/', '{}', 'pending',
        case when i < 10 then 'honest' else 'greedy' end, 'host' || i % 2 || '.test', 0, 0, 0
      from generate_series(1, ${count}::integer) as i`.execute(query),
  )
}

/** A view of the database that keeps what is asked of it. */
function recording(database: Database, statements: CompiledQuery[]): Database {
  const watched = <T>(work: (query: Query) => Promise<T>) => {
    return (query: Query) => work(query.withPlugin(recorder(query, statements)))
  }
  return {
    capabilities: database.capabilities,
    ...(database.notifications === undefined ? {} : { notifications: database.notifications }),
    read: (work) => database.read(watched(work)),
    execute: (durability, work) => database.execute(durability, watched(work)),
    atomically: (durability, work) => database.atomically(durability, watched(work)),
    close: () => database.close(),
  }
}

function recorder(query: Query, statements: CompiledQuery[]): KyselyPlugin {
  return {
    transformQuery({ node, queryId }): RootOperationNode {
      statements.push(query.getExecutor().compileQuery(node, queryId))
      return node
    },
    transformResult: async ({ result }) => result,
  }
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Index Cond'?: string
  readonly Filter?: string
  readonly Plans?: readonly Plan[]
}

/** The table or its indexes where the database would read them from end to end to answer a statement. */
async function wholeReads(database: Database, { sql: statement, parameters }: CompiledQuery): Promise<string[]> {
  const { rows } = await database.read((query) =>
    query.executeQuery<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
      CompiledQuery.raw(`explain (format json) ${statement}`, [...parameters]),
    ),
  )
  const plans = rows.flatMap((row) => row['QUERY PLAN'].map(({ Plan }) => Plan))
  expect(plans).not.toEqual([])
  return plans.flatMap(readWhole)
}

const TABLES: ReadonlySet<string> = new Set(['requests', 'webhook_deliveries'])

function readWhole(plan: Plan): string[] {
  const below = (plan.Plans ?? []).flatMap(readWhole)
  if (plan['Node Type'] === 'Seq Scan' && TABLES.has(plan['Relation Name'] ?? ''))
    return [plan['Relation Name'] ?? '', ...below]
  const index = plan['Index Name']
  // One account's are found by an index, not by a look at everybody's.
  const isStored = !['CTE Scan', 'WorkTable Scan'].includes(plan['Node Type'])
  if (isStored && plan.Filter?.includes('account')) return [`${index} of all accounts`, ...below]
  return index === undefined || plan['Index Cond'] !== undefined ? below : [index, ...below]
}
