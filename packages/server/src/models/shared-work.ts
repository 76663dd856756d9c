interface Work<T, P> {
  readonly abort: AbortController
  readonly result: Promise<T>
  readonly listeners: Set<(progress: P) => void>
  waiting: number
}

/**
 * Work that several callers want at once is done once. Who stops waiting does not stop it for the others; when nobody waits any
 * more, it is stopped.
 */
export class SharedWork<T, P> {
  readonly #running = new Map<string, Work<T, P>>()

  /**
   * @param key names the work: callers with one key share it
   * @param start begins it, where nobody has
   * @throws what the work throws; the signal's reason
   */
  async join(
    key: string,
    signal: AbortSignal,
    onProgress: (progress: P) => void,
    start: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const work = this.#running.get(key) ?? this.#begin(key, start)
    work.listeners.add(onProgress)
    work.waiting += 1
    let leave: (() => void) | undefined
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason)
      signal.addEventListener('abort', leave)
    })
    left.catch(() => {})
    try {
      return await Promise.race([work.result, left])
    } finally {
      if (leave !== undefined) signal.removeEventListener('abort', leave)
      work.listeners.delete(onProgress)
      work.waiting -= 1
      if (work.waiting === 0) this.#end(key, work)
    }
  }

  #begin(key: string, start: (signal: AbortSignal, report: (progress: P) => void) => Promise<T>): Work<T, P> {
    const abort = new AbortController()
    const listeners = new Set<(progress: P) => void>()
    const result = start(abort.signal, (progress) => {
      for (const listener of listeners) listener(progress)
    })
    result.catch(() => {})
    const work = { abort, result, listeners, waiting: 0 }
    this.#running.set(key, work)
    return work
  }

  #end(key: string, work: Work<T, P>): void {
    // Who comes next begins anew, behind the file's lock, even while this work is still putting its files away.
    if (this.#running.get(key) === work) this.#running.delete(key)
    work.abort.abort(new Error('nobody waits for it any more'))
  }
}
