/**
 * Lets one writer of a file in at a time.
 *
 * SQLite's own lock has no line: who meets another there looks again a little later. Writers of one process know of each other, so they
 * queue up here, in their order; SQLite's lock is left to arbitrate between processes.
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
