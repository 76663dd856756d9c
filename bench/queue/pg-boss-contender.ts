import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Contender, ContenderSpec } from './contender.ts'
import { vacuum } from './vacuum.ts'

const MEASURED = 'measured'
const BESIDE = 'beside'
const JOBS_PER_INSERT = 500

interface Job {
  readonly id: string
  readonly data: { readonly requestId: string }
}

/** What of pg-boss 12 is used here. */
interface PgBoss {
  start(): Promise<unknown>
  stop(options: object): Promise<void>
  createQueue(name: string, options: object): Promise<void>
  deleteAllJobs(name: string): Promise<void>
  insert(name: string, jobs: readonly object[]): Promise<unknown>
  send(name: string, data: object, options: object): Promise<unknown>
  fetch(name: string, options: object): Promise<Job[]>
  complete(name: string, id: string): Promise<unknown>
  work(name: string, options: object, handler: (jobs: Job[]) => Promise<void>): Promise<unknown>
  offWork(name: string): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** pg-boss with LISTEN/NOTIFY on, and its polling floor as low as it goes. */
export async function createPgBossContender(spec: ContenderSpec & { kind: 'pg-boss' }): Promise<Contender<Job>> {
  const module: { PgBoss: new (options: object) => PgBoss } = await import(
    pathToFileURL(join(spec.modulePath, 'dist/index.js')).href
  )
  const boss = new module.PgBoss({ connectionString: spec.databaseUrl, useListenNotify: true, schema: 'bench_peer' })
  boss.on('error', (error) => console.error('pg-boss:', error.message))
  await boss.start()
  for (const name of [MEASURED, BESIDE]) await boss.createQueue(name, { notify: true })
  const fetchOptions = { batchSize: 1 }
  return {
    name: 'pg-boss on PostgreSQL',
    async reset(waiting, where) {
      for (const name of [MEASURED, BESIDE]) await boss.deleteAllJobs(name)
      const name = where === 'measured' ? MEASURED : BESIDE
      for (let filled = 0; filled < waiting; filled += JOBS_PER_INSERT) {
        const length = Math.min(JOBS_PER_INSERT, waiting - filled)
        await boss.insert(
          name,
          Array.from({ length }, (_, i) => ({ data: { requestId: `waiting-${filled + i}` }, priority: 0 })),
        )
      }
      await vacuum(spec.databaseUrl)
    },
    submit: async (requestId) =>
      void (await boss.send(MEASURED, { requestId, prompt: 'a lighthouse at dusk', seed: 42 }, { priority: 1 })),
    claim: async () => (await boss.fetch(MEASURED, fetchOptions))[0],
    complete: async (job) => void (await boss.complete(MEASURED, job.id)),
    async work(started) {
      const options = { ...fetchOptions, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5 }
      await boss.work(MEASURED, options, async ([job]) => {
        if (job !== undefined) started(job.data.requestId)
      })
      return () => boss.offWork(MEASURED)
    },
    close: () => boss.stop({ graceful: false }),
  }
}
