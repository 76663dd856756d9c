import type { LogEntry } from '../queue/request-queue.ts'

/** A handler that logs in a tight loop must not fill the memory while the database is away. */
const MAX_WAITING = 10_000

/**
 * Collects a request's log entries and writes them in batches: one statement per tenth of a second instead of one per
 * denoising step. Entries whose write failed are written again with the next batch.
 */
export class RequestLog {
  readonly #append: (entries: readonly LogEntry[]) => Promise<void>
  readonly #onError: (error: unknown) => void
  readonly #flushMs: number
  #waiting: LogEntry[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(
    append: (entries: readonly LogEntry[]) => Promise<void>,
    flushMs: number,
    onError: (error: unknown) => void,
  ) {
    this.#append = append
    this.#flushMs = flushMs
    this.#onError = onError
  }

  add(entry: LogEntry): void {
    if (this.#waiting.length >= MAX_WAITING) return
    this.#waiting.push(entry)
    this.#timer ??= setTimeout(() => void this.flush(), this.#flushMs)
  }

  /** Resolves when everything added so far was tried; never throws. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    const entries = this.#waiting
    if (entries.length === 0) return
    this.#waiting = []
    try {
      await this.#append(entries)
    } catch (error) {
      this.#waiting = [...entries, ...this.#waiting].slice(0, MAX_WAITING)
      this.#onError(error)
    }
  }
}
