import { Worker } from 'node:worker_threads'

/** A write appends 10 to 50 pages of 4 KiB to the log. */
const WRITES_BETWEEN = 64

/**
 * Moves what the write-ahead log holds into the database file, on a thread of its own. SQLite does it by itself inside
 * whichever commit makes the log long, and fsyncs twice there: 10 to 100 ms for which the whole process would stand still.
 */
export class WalCheckpoints {
  readonly #path: string
  #writes = 0
  #worker: Worker | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** To be called behind every write. Starts the thread when it is first needed, which a short command never is. */
  countWrite(): void {
    this.#writes += 1
    if (this.#writes < WRITES_BETWEEN) return
    this.#writes = 0
    this.#worker ??= this.#start()
    this.#worker.postMessage('checkpoint')
  }

  /** Resolves when the thread has let go of the file. */
  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    // Not `once` of node:events, which would throw what the thread dies of, and the connections would stay open.
    const gone = new Promise((resolve) => worker.once('exit', resolve))
    // The thread keeps no process alive, but whoever waits for its end must not end before.
    worker.ref()
    worker.postMessage('close')
    await gone
  }

  #start(): Worker {
    const worker = new Worker(new URL('./wal-checkpoint-worker.mjs', import.meta.url), { workerData: this.#path })
    worker.unref()
    // Without the thread the log grows until SQLite's own checkpoint; the next count starts another.
    worker.on('error', () => {})
    worker.on('exit', () => {
      this.#worker = undefined
    })
    return worker
  }
}
