/**
 * Lets one writer of a file in at a time.
 *
 * libsql is synchronous and waits for SQLite's file lock by blocking its thread. Two connections of one process that
 * met there would wait for each other until the busy timeout: the holder cannot go on while the thread is blocked.
 * So writers of this process queue up here first; SQLite's own lock is left to arbitrate between processes.
 */
export class WriteLock {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}

const locks = new Map<string, WriteLock>()

/** The lock of a file in this process, by its absolute path: shared by all that open the file. */
export function writeLockOf(path: string): WriteLock {
  const existing = locks.get(path)
  if (existing !== undefined) return existing
  const lock = new WriteLock()
  locks.set(path, lock)
  return lock
}
