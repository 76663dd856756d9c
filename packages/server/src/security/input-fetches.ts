interface FetchSlots {
  /** Fetches at a time. */
  readonly total: number
  /** Of one key: what one client may have others wait for. */
  readonly perKey: number
  /** From one host: what one slow server may. */
  readonly perHost: number
}

/** A slow server answers within 30 s or not at all, so that these are some fetches a second for everybody even where all of them are slow. */
const FETCH_SLOTS: FetchSlots = { total: 32, perKey: 8, perHost: 6 }

interface Waiting {
  readonly key: string
  readonly host: string
  readonly start: () => void
}

/** Lets input files be fetched several at once, first come, first served, but for a client or a host that has its share already. */
export class InputFetches {
  readonly #slots: FetchSlots
  readonly #byKey = new Map<string, number>()
  readonly #byHost = new Map<string, number>()
  #underway = 0
  #line: Waiting[] = []

  constructor(slots: FetchSlots = FETCH_SLOTS) {
    this.#slots = slots
  }

  /**
   * Runs `fetch` when it may; one whose signal is aborted before that is not begun.
   * @param key whoever the fetch is for
   * @throws the signal's reason, and what `fetch` throws
   */
  async run<T>(key: string, host: string, signal: AbortSignal, fetch: () => Promise<T>): Promise<T> {
    await this.#wait(key, host, signal)
    try {
      return await fetch()
    } finally {
      this.#count(key, host, -1)
      this.#serve()
    }
  }

  #wait(key: string, host: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#line = this.#line.filter((other) => other !== waiting)
        reject(signal.reason)
      }
      const waiting: Waiting = {
        key,
        host,
        start: () => {
          signal.removeEventListener('abort', leave)
          this.#count(key, host, 1)
          resolve()
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#line.push(waiting)
      this.#serve()
    })
  }

  #serve(): void {
    const waiting: Waiting[] = []
    for (const next of this.#line) {
      if (this.#mayStart(next)) next.start()
      else waiting.push(next)
    }
    this.#line = waiting
  }

  #mayStart({ key, host }: Waiting): boolean {
    const { total, perKey, perHost } = this.#slots
    return this.#underway < total && (this.#byKey.get(key) ?? 0) < perKey && (this.#byHost.get(host) ?? 0) < perHost
  }

  #count(key: string, host: string, change: 1 | -1): void {
    this.#underway += change
    addTo(this.#byKey, key, change)
    addTo(this.#byHost, host, change)
  }
}

/** A count that is zero again is forgotten: hosts are as many as clients name. */
function addTo(counts: Map<string, number>, name: string, change: number): void {
  const count = (counts.get(name) ?? 0) + change
  if (count === 0) counts.delete(name)
  else counts.set(name, count)
}
