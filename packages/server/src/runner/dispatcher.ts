export interface DispatcherOptions {
  /** Works at the same time. */
  readonly capacity: number
  /** Takes the next request of the queue and returns what works on it, or nothing when none waits. */
  readonly claim: () => Promise<(() => Promise<void>) | undefined>
  /** A claim that failed (the database is away) is tried again after this long. */
  readonly claimRetryMs: number
  readonly onClaimError: (error: unknown) => void
}

interface WaitingJob {
  readonly run: () => Promise<void>
  readonly resolve: () => void
}

/**
 * Shares the runner's slots between direct work (sync runs, streams, realtime frames) and requests of the queue. When
 * both wait they take turns, so a realtime session that is always busy cannot starve the queue, nor a full queue the
 * sessions. Direct work is first come, first served; a session has one input in line at a time, which makes that a
 * round-robin over sessions.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #direct: WaitingJob[] = []
  #busy = 0
  /** The queue may hold a request: unknown at the start, and whenever a wake-up came. */
  #queueMayHoldWork = true
  #claiming = false
  #lastTurn: 'direct' | 'queue' = 'direct'
  #stopped = false
  #retryTimer: NodeJS.Timeout | undefined
  #onIdle: (() => void)[] = []

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  get busy(): number {
    return this.#busy
  }

  /** Says that the queue may hold work. Costs nothing while every slot is taken. */
  wake(): void {
    this.#queueMayHoldWork = true
    this.#dispatch()
  }

  /**
   * Runs `job` when its turn has come; resolves when it is done. `job` must not throw.
   * An abort while it waits in line takes it out, unrun.
   * @returns whether it ran
   */
  async submit(job: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    let ran = false
    await new Promise<void>((resolve) => {
      const waiting: WaitingJob = {
        resolve,
        run: () => {
          ran = true
          signal.removeEventListener('abort', leave)
          return job()
        },
      }
      const leave = () => {
        this.#direct.splice(this.#direct.indexOf(waiting), 1)
        resolve()
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#direct.push(waiting)
      this.#dispatch()
    })
    return ran
  }

  /** Claims nothing any more. Direct work goes on. */
  stopClaiming(): void {
    this.#stopped = true
    clearTimeout(this.#retryTimer)
  }

  /** Resolves when no slot is taken and no direct work waits. */
  async idle(): Promise<void> {
    if (this.#busy === 0 && this.#direct.length === 0) return
    await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #dispatch(): void {
    while (this.#busy < this.#options.capacity) {
      const claimable = this.#queueMayHoldWork && !this.#claiming && !this.#stopped
      const job = claimable && this.#lastTurn === 'direct' ? undefined : this.#direct.shift()
      if (job !== undefined) this.#start('direct', job.run, job.resolve)
      else if (claimable) this.#claimNext()
      else break
    }
    if (this.#busy === 0 && this.#direct.length === 0) {
      for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  #start(turn: 'direct' | 'queue', run: () => Promise<void>, done: () => void): void {
    this.#busy += 1
    this.#lastTurn = turn
    run().finally(() => {
      this.#busy -= 1
      done()
      this.#dispatch()
    })
  }

  /** A slot is held while the claim is asked for, or its answer could find every slot taken. */
  #claimNext(): void {
    this.#busy += 1
    this.#claiming = true
    this.#queueMayHoldWork = false
    this.#lastTurn = 'queue'
    this.#options
      .claim()
      .catch((error: unknown) => {
        this.#options.onClaimError(error)
        this.#retryTimer = setTimeout(() => this.wake(), this.#options.claimRetryMs)
        return undefined
      })
      .then((run) => {
        this.#claiming = false
        this.#busy -= 1
        if (run !== undefined) {
          this.#queueMayHoldWork = true
          this.#start('queue', run, () => {})
        }
        this.#dispatch()
      })
  }
}
