import { WaitingLine } from '../waiting/waiting-line.ts'

/** A request's turn at the device. Both throw the signal's reason, once it is aborted. */
export interface Turn {
  /** Waits for the device; resolves when it is the caller's. @param onWait called where it is not free at once */
  take(signal: AbortSignal, onWait?: () => void): Promise<void>
  /** Lets the next request draw while this one finishes; waits while as many finish already as may draw. */
  handOn(signal: AbortSignal): Promise<void>
}

/**
 * Works on one request: prepares, takes its turn, draws, and may finish behind its turn. Must not throw; what it had taken is given back
 * when it is done.
 */
export type Job = (turn: Turn) => Promise<void>

/** A request of the queue, and whose it is. */
export interface ClaimedJob {
  readonly account: string
  readonly job: Job
}

export interface DispatcherOptions {
  /** Requests that draw at the same time, and that finish at the same time beside them. */
  readonly capacity: number
  /** Takes the next request of the queue and returns what works on it, or nothing when none waits. */
  readonly claim: () => Promise<ClaimedJob | undefined>
  /** A claim that failed (the database is away) is tried again after this long. */
  readonly claimRetryMs: number
  readonly onClaimError: (error: unknown) => void
  /**
   * How long a slot is kept for a request that was claimed for it and still prepares (fetches its pictures). One that takes longer lets
   * others draw meanwhile.
   */
  readonly patienceMs: number
  /** Requests of the queue that prepare, or wait to draw, without a slot; nothing is claimed beyond. */
  readonly claimsAhead: number
}

type Kind = 'direct' | 'queue'

/** A request that is here, and whether it has a slot. */
interface Place {
  readonly kind: Kind
  readonly account: string
  hasSlot: boolean
  /** Has handed its slot on. */
  finishes: boolean
  patience?: NodeJS.Timeout
}

const newLine = () => new WaitingLine<Place>(({ account }) => account)

/** Direct works of one account that are ready to draw; its next ones begin to prepare when these draw. */
const MOST_READY = 16

/**
 * Shares the runner's slots between direct work (sync runs, streams, realtime frames) and requests of the queue. Requests prepare outside
 * of the slots, any number at once, and line up when they are ready to draw. When both kinds wait they take turns, so a realtime
 * connection that is always busy cannot starve the queue, nor a full queue the connections. Within a kind accounts take turns, and
 * within an account it is first ready, first served; a connection has one input in line at a time, which makes that a round-robin
 * over its connections.
 *
 * Direct works begin one a round of the event loop, accounts in turn, for beginning costs this process milliseconds: who sends five hundred
 * at once has another wait for one of them.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #places = new Set<Place>()
  readonly #lines: Readonly<Record<Kind, WaitingLine<Place>>> = { direct: newLine(), queue: newLine() }
  /** Direct works that have not begun. */
  readonly #beginning = newLine()
  #beginsNext = false
  /** How many direct works of each account stand in line. */
  readonly #ready = new Map<string, number>()
  /** Those who would hand their slots on. */
  readonly #handingOn = newLine()
  #busy = 0
  #finishing = 0
  /** The queue may hold a request: unknown at the start, and whenever a wake-up came. */
  #queueMayHoldWork = true
  #claiming = false
  #lastTurn: Kind = 'direct'
  #stopped = false
  #retryTimer: NodeJS.Timeout | undefined
  #onIdle: (() => void)[] = []

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  /** Slots that are taken. */
  get busy(): number {
    return this.#busy
  }

  /** Whether nothing could be claimed now: each slot has its request, not only a claim that is being asked for. */
  get isFull(): boolean {
    return this.#busy >= this.#options.capacity && !this.#claiming
  }

  /** Says that the queue may hold work. Costs nothing while every slot is taken. */
  wake(): void {
    this.#queueMayHoldWork = true
    this.#dispatch()
  }

  /** Runs `job` when its account has its turn; resolves when it is done. */
  submit({ account, job }: ClaimedJob): Promise<void> {
    const place: Place = { kind: 'direct', account, hasSlot: false, finishes: false }
    const begun = this.#beginning.join(place)
    this.#beginLater()
    return this.#run(place, async (turn) => {
      await begun
      await job(turn)
    })
  }

  /** Claims nothing any more. What is here goes on. */
  stopClaiming(): void {
    this.#stopped = true
    clearTimeout(this.#retryTimer)
  }

  /** Resolves when nothing is here and nothing is being claimed. */
  async idle(): Promise<void> {
    if (!this.#isIdle()) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  #isIdle(): boolean {
    return this.#places.size === 0 && !this.#claiming
  }

  async #run(place: Place, job: Job): Promise<void> {
    this.#places.add(place)
    try {
      await job({
        take: (signal, onWait) => this.#takeTurn(place, signal, onWait),
        handOn: (signal) => this.#handOn(place, signal),
      })
    } finally {
      clearTimeout(place.patience)
      if (place.hasSlot) this.#busy -= 1
      if (place.finishes) this.#finishing -= 1
      this.#letFinish()
      this.#places.delete(place)
      this.#dispatch()
    }
  }

  #beginLater(): void {
    if (this.#beginsNext || this.#beginning.length === 0) return
    this.#beginsNext = true
    setImmediate(() => {
      this.#beginsNext = false
      const begun = this.#beginning.admit(({ account }) => (this.#ready.get(account) ?? 0) < MOST_READY)
      if (begun !== undefined) this.#beginLater()
    })
  }

  #countReady({ kind, account }: Place, change: 1 | -1): void {
    if (kind === 'queue') return
    const ready = (this.#ready.get(account) ?? 0) + change
    if (ready === 0) this.#ready.delete(account)
    else this.#ready.set(account, ready)
    this.#beginLater()
  }

  async #takeTurn(place: Place, signal: AbortSignal, onWait?: () => void): Promise<void> {
    signal.throwIfAborted()
    clearTimeout(place.patience)
    if (place.hasSlot) return
    const turn = this.#lines[place.kind].join(place, signal)
    this.#countReady(place, 1)
    this.#dispatch()
    if (!place.hasSlot) onWait?.()
    try {
      await turn
    } catch (error) {
      // One that waits is one that is claimed ahead.
      this.#dispatch()
      throw error
    } finally {
      this.#countReady(place, -1)
    }
  }

  async #handOn(place: Place, signal: AbortSignal): Promise<void> {
    if (!place.hasSlot) return
    const admitted = this.#handingOn.join(place, signal)
    this.#letFinish()
    await admitted
  }

  #letFinish(): void {
    while (this.#finishing < this.#options.capacity) {
      const place = this.#handingOn.admit()
      if (place === undefined) return
      place.hasSlot = false
      place.finishes = true
      this.#busy -= 1
      this.#finishing += 1
      this.#dispatch()
    }
  }

  #dispatch(): void {
    while (this.#busy < this.#options.capacity) {
      const [first, second]: readonly [Kind, Kind] =
        this.#lastTurn === 'direct' ? ['queue', 'direct'] : ['direct', 'queue']
      if (!this.#fillSlot(first) && !this.#fillSlot(second)) break
    }
    if (this.#isIdle()) for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  /** @returns whether somebody of that kind took it */
  #fillSlot(kind: Kind): boolean {
    const next = this.#lines[kind].admit()
    if (next !== undefined) {
      next.hasSlot = true
    } else if (kind === 'direct' || !this.#mayClaim()) {
      return false
    } else {
      this.#claimNext()
    }
    this.#busy += 1
    this.#lastTurn = kind
    return true
  }

  #mayClaim(): boolean {
    if (!this.#queueMayHoldWork || this.#claiming || this.#stopped) return false
    const ahead = [...this.#places].filter(({ kind, hasSlot, finishes }) => kind === 'queue' && !hasSlot && !finishes)
    return ahead.length < this.#options.claimsAhead
  }

  /** A slot is held while the claim is asked for, or its answer could find every slot taken. */
  #claimNext(): void {
    this.#claiming = true
    this.#queueMayHoldWork = false
    this.#options
      .claim()
      .catch((error: unknown) => {
        this.#options.onClaimError(error)
        this.#retryTimer = setTimeout(() => this.wake(), this.#options.claimRetryMs)
        return undefined
      })
      .then((claimed) => {
        this.#claiming = false
        if (claimed === undefined) {
          this.#busy -= 1
        } else {
          this.#queueMayHoldWork = true
          const place: Place = { kind: 'queue', account: claimed.account, hasSlot: true, finishes: false }
          place.patience = setTimeout(() => this.#giveUpSlot(place), this.#options.patienceMs)
          void this.#run(place, claimed.job)
        }
        this.#dispatch()
      })
  }

  #giveUpSlot(place: Place): void {
    place.hasSlot = false
    this.#busy -= 1
    this.#dispatch()
  }
}
