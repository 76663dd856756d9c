import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import type { Database } from '../../src/db/database.ts'
import type { RequestQueueOptions } from '../../src/queue/options.ts'
import type { RequestQueue } from '../../src/queue/request-queue.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { type Backend, clear, type Opened } from './backends.ts'

/** One database for a suite, emptied before each test; a clock that only moves when told. */
export class QueueFixture {
  readonly #queues: RequestQueue[] = []
  #opened: Opened | undefined
  #now = Date.UTC(2026, 0, 1)

  constructor(backend: Backend) {
    beforeAll(async () => {
      this.#opened = await backend.open()
    }, 120_000) // PGlite's first start takes 4 s of a core, more on a busy machine.
    beforeEach(() => clear(this.database))
    afterEach(async () => {
      for (const queue of this.#queues.splice(0)) await queue.close()
    })
    afterAll(() => this.#opened?.close())
  }

  get opened(): Opened {
    if (this.#opened === undefined) throw new Error('The database is opened by a hook that has not run yet.')
    return this.#opened
  }

  get database(): Database {
    return this.opened.database
  }

  queue(options: RequestQueueOptions = {}): RequestQueue {
    const queue = createRequestQueue(this.database, { now: () => new Date(this.#now), ...options })
    this.#queues.push(queue)
    return queue
  }

  pass(seconds: number): void {
    this.#now += seconds * 1000
  }
}
