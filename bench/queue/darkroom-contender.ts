import { openDatabase } from '../../packages/server/src/db/open-database.ts'
import { LocalEvents } from '../../packages/server/src/queue/events/local-events.ts'
import type { ClaimedRequest, RequestQueue, Submission } from '../../packages/server/src/queue/request-queue.ts'
import { submissionColumns } from '../../packages/server/src/queue/rows.ts'
import { createRequestQueue } from '../../packages/server/src/queue/sql-request-queue.ts'
import type { Contender, ContenderSpec } from './contender.ts'
import { vacuum } from './vacuum.ts'

const MEASURED = 'bench/measured'
const BESIDE = 'bench/beside'
const ROWS_PER_INSERT = 500
const TABLES = ['requests', 'payloads', 'logs', 'webhook_deliveries'] as const

/** Gateway and runner as they are deployed: two processes, woken by IPC on libsql, by NOTIFY on PostgreSQL. */
export async function createDarkroomContender(
  spec: ContenderSpec & { kind: 'darkroom' },
): Promise<Contender<ClaimedRequest> & { readonly events: LocalEvents | undefined }> {
  const database = await openDatabase(spec)
  const events = database.notifications === undefined ? new LocalEvents() : undefined
  const queue = createRequestQueue(database, events === undefined ? {} : { events })
  return {
    name: `Darkroom on ${spec.databaseUrl === undefined ? 'libsql' : 'PostgreSQL'}`,
    events,
    async reset(waiting, where) {
      await database.atomically('synced', async (query) => {
        for (const table of TABLES) await query.deleteFrom(table).execute()
      })
      const endpointId = where === 'measured' ? MEASURED : BESIDE
      for (let filled = 0; filled < waiting; filled += ROWS_PER_INSERT)
        await database.atomically('relaxed', async (query) => {
          const count = Math.min(ROWS_PER_INSERT, waiting - filled)
          const requests = Array.from({ length: count }, (_, i) =>
            submission(`waiting-${filled + i}`, endpointId, 'low'),
          )
          const payloads = requests.map(({ requestId, input }) => ({ request_id: requestId, input, output: null }))
          await query.insertInto('payloads').values(payloads).execute()
          await query
            .insertInto('requests')
            .values(requests.map((request, i) => waitingRow(request, filled + i)))
            .execute()
        })
      if (spec.databaseUrl !== undefined) await vacuum(spec.databaseUrl)
    },
    submit: async (requestId) => void (await queue.enqueue(submission(requestId, MEASURED, 'normal'))),
    claim: () => queue.claim('bench', [MEASURED], []),
    complete: async (claim) => void (await queue.complete(claim, { status: 200, body: '{}', headers: {} })),
    work: async (started) => work(queue, started),
    async close() {
      await queue.close()
      await events?.close()
      await database.close()
    },
  }
}

function submission(requestId: string, endpointId: string, priority: Submission['priority']): Submission {
  const input = '{"prompt":"a lighthouse at dusk","seed":42}'
  return {
    requestId,
    endpointId,
    input,
    priority,
    filesUrl: 'http://127.0.0.1/cdn',
    retry: true,
    storeIo: true,
    account: 'default',
  }
}

function waitingRow(request: Submission, turn: number) {
  const row = { kind: 'queue', state: 'queued', attempt: 0, turn, accepted_at: Date.now() } as const
  return { ...submissionColumns(request), ...row }
}

/** One request at a time, as a runner of one device does. */
function work(queue: RequestQueue, started: (requestId: string) => void): () => Promise<void> {
  let offered = false
  let running: Promise<void> | undefined
  const run = async () => {
    while (offered) {
      offered = false
      const claim = await queue.claim('bench', [MEASURED], [])
      if (claim === undefined) continue
      offered = true
      started(claim.requestId)
      await queue.complete(claim, { status: 200, body: '{}', headers: {} })
    }
    running = undefined
  }
  const unsubscribe = queue.onWork(() => {
    offered = true
    running ??= run()
  })
  return async () => {
    unsubscribe()
    await running
  }
}
