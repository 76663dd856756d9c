import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLibsqlDatabase } from '../../src/db/libsql-database.ts'
import type { RequestQueueOptions } from '../../src/queue/options.ts'
import type { Outcome, RequestQueue, Submission } from '../../src/queue/request-queue.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'

/** The queue on a libsql file of its own. While `isAway` every call rejects, as it does when the database is lost. */
export interface TestQueue extends RequestQueue {
  isAway: boolean
  /** Resolves with the request's outcome when it is completed. */
  outcome(requestId: string): Promise<Outcome>
  /** Closes it and removes its file. */
  close(): Promise<void>
}

export async function openTestQueue(options: RequestQueueOptions = {}): Promise<TestQueue> {
  const folder = mkdtempSync(join(tmpdir(), 'darkroom-queue-'))
  const database = await openLibsqlDatabase(join(folder, 'darkroom.db'))
  const queue = createRequestQueue(database, options)
  const extras = {
    isAway: false,
    outcome: (requestId: string) => outcomeOf(queue, requestId),
    async close() {
      await queue.close()
      await database.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return new Proxy(extras, {
    get(_target, name) {
      if (name in extras) return Reflect.get(extras, name)
      const value: unknown = Reflect.get(queue, name)
      if (typeof value !== 'function') return value
      if (extras.isAway) return () => Promise.reject(new Error('the database is away'))
      return value.bind(queue)
    },
  }) as TestQueue
}

function outcomeOf(queue: RequestQueue, requestId: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const look = () =>
      queue.get(requestId).then((request) => {
        if (request?.outcome === undefined) return
        unsubscribe()
        resolve(request.outcome)
      }, reject)
    const unsubscribe = queue.onRequestChange(requestId, look)
    look()
  })
}

/** A submission with everything but the id, endpoint and input at its plainest. */
export function submission(requestId: string, endpointId: string, input: unknown): Submission {
  return {
    requestId,
    endpointId,
    input: typeof input === 'string' ? input : JSON.stringify(input),
    priority: 'normal',
    filesUrl: 'http://files.test/cdn',
    retry: true,
    storeIo: true,
    account: 'default',
  }
}
