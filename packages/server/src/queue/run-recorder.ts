import type { AnsweredRun } from './request-queue.ts'

/** How long a run may wait for others to be written with. */
const DELAY_MILLISECONDS = 100
/** Runs, and characters of their bodies, written together: SQLite holds the thread meanwhile. */
const BATCH_RUNS = 32
const BATCH_CHARACTERS = 1024 * 1024
/** Bodies that may wait in all. Behind it the database is not keeping up, and memory is worth more than a listing. */
const MAX_WAITING_CHARACTERS = 64 * 1024 * 1024

interface WaitingRun {
  readonly run: AnsweredRun
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes answered runs together, off the path of their answers: by itself each is a transaction of its own, and in the
 * embedded database that takes this thread longer than the run's whole way through the gateway.
 */
export class RunRecorder {
  readonly #write: (runs: readonly AnsweredRun[]) => Promise<void>
  #waiting: WaitingRun[] = []
  #characters = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined

  /** @param write writes all of them or none */
  constructor(write: (runs: readonly AnsweredRun[]) => Promise<void>) {
    this.#write = write
  }

  /**
   * Resolves once the run is written.
   * @throws DatabaseError of the write, Error when too much waits already
   */
  record(run: AnsweredRun): Promise<void> {
    if (this.#characters > MAX_WAITING_CHARACTERS) {
      return Promise.reject(new Error(`${this.#waiting.length} runs wait to be recorded; the database is too slow`))
    }
    this.#characters += sizeOf(run)
    this.#timer ??= setTimeout(() => void this.flush(), DELAY_MILLISECONDS)
    return new Promise((resolve, reject) => this.#waiting.push({ run, resolve, reject }))
  }

  /** Writes what waits now; never throws, those who recorded are told. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.#waiting.length === 0) return
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = undefined
    })
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const all = this.#waiting
    this.#waiting = []
    while (all.length > 0) {
      await this.#writeBatch(takeBatch(all))
      // Requests are answered between two batches.
      await new Promise(setImmediate)
    }
  }

  async #writeBatch(batch: readonly WaitingRun[]): Promise<void> {
    try {
      await this.#write(batch.map(({ run }) => run))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      for (const { run } of batch) this.#characters -= sizeOf(run)
    }
  }
}

/** Takes the first runs, at least one. */
function takeBatch(waiting: WaitingRun[]): readonly WaitingRun[] {
  let count = 0
  for (let characters = 0; count < Math.min(waiting.length, BATCH_RUNS) && characters < BATCH_CHARACTERS; count++) {
    characters += sizeOf((waiting[count] as WaitingRun).run)
  }
  return waiting.splice(0, count)
}

function sizeOf(run: AnsweredRun): number {
  return run.input.length + run.outcome.body.length
}
