import { open, stat } from 'node:fs/promises'
import koffi from 'koffi'
import type { ReadableWeights, WeightLocation } from '../checkpoint/prepared-weights.ts'
import type { SessionCache } from './session-cache.ts'

/** `POSIX_FADV_WILLNEED` of Linux. */
const WILL_NEED = 3
/** The system reads at most what its device takes in one request, often a megabyte, and forgets the rest of a larger wish. */
const STEP = 2 ** 20
/** Parts of a file that lie nearer to each other than this are one. */
const SMALL_GAP = 2 ** 20

/** Asks the system to bring bytes of an open file into memory; resolves when they are on their way. */
export type Advise = (descriptor: number, offset: number, length: number) => Promise<unknown>

type SessionMemory = Pick<SessionCache, 'holds' | 'freeBytes' | 'budgetBytes'>

/** A file that is read whole, a LoRA's. */
export async function wholeFile(path: string): Promise<ReadableWeights> {
  const { size, mtimeMs } = await stat(path)
  return { identity: JSON.stringify([path, size, mtimeMs]), places: () => [{ path, offset: 0, length: size }] }
}

/**
 * Brings weights from the disk into the system's memory before sessions map them: while the text encoder runs, or another picture is
 * drawn. What is there already costs 12 ms of processor time a gigabyte. Only a hint: what is not read now is read when a session needs it.
 */
export class ReadAhead {
  readonly #sessions: SessionMemory
  readonly #advise: Advise | undefined
  /** Bytes of what was read and no session held since, by identity, the last at the end: as much as the budget has room for is taken to be there still. */
  readonly #read = new Map<string, number>()
  /** Identities of weights that are being read, or wait for that. */
  readonly #asked = new Set<string>()
  #reading: Promise<void> = Promise.resolve()
  #isEnded = false

  /** @param advise default: Linux's; elsewhere nothing is read ahead */
  constructor(sessions: SessionMemory, advise: Advise | undefined = systemAdvise()) {
    this.#sessions = sessions
    this.#advise = advise
  }

  /**
   * Reads in order what no session holds and the budget has room for, behind what was asked before, once. Resolves, never rejects, when it is
   * done; nobody needs to wait.
   */
  read(all: readonly ReadableWeights[]): Promise<void> {
    return this.#readEach(all, (weights) => this.#readOne(weights, this.#sessions.freeBytes))
  }

  /**
   * As `read`, for what may be drawn when the present picture is done: only what there is room for beside all that was read and waits for its
   * session. When the signal is aborted it ends after the part that is under way, and what was read counts no more.
   */
  foresee(all: readonly ReadableWeights[], signal: AbortSignal): Promise<void> {
    const asked: string[] = []
    signal.addEventListener('abort', () => asked.forEach((identity) => void this.#read.delete(identity)), {
      once: true,
    })
    return this.#readEach(all, async (weights) => {
      if (!this.#read.has(weights.identity)) asked.push(weights.identity)
      await this.#readOne(weights, this.#sessions.freeBytes - this.#waitingBytes(), signal)
    })
  }

  #readEach(all: readonly ReadableWeights[], readOne: (weights: ReadableWeights) => Promise<void>): Promise<void> {
    // Once their session is gone they may be gone, too.
    for (const identity of this.#read.keys()) if (this.#sessions.holds({ identity })) this.#read.delete(identity)
    const asked = all.filter((weights) => !this.#sessions.holds(weights) && !this.#asked.has(weights.identity))
    for (const { identity } of asked) this.#asked.add(identity)
    for (const weights of asked) {
      this.#reading = this.#reading
        .then(() => readOne(weights))
        .catch(() => {})
        .finally(() => this.#asked.delete(weights.identity))
    }
    return this.#reading
  }

  /** Ends what is being read after the part that is under way, and what waits. */
  async end(): Promise<void> {
    this.#isEnded = true
    await this.#reading
  }

  async #readOne(weights: ReadableWeights, roomBytes: number, signal?: AbortSignal): Promise<void> {
    const { identity } = weights
    if (this.#advise === undefined || this.#read.has(identity) || signal?.aborted) return
    const extents = mergePlaces(weights.places())
    const bytes = extents.reduce((sum, { length }) => sum + length, 0)
    // More than that would push out what a picture is being drawn with.
    if (bytes > roomBytes) return
    this.#remember(identity, bytes)
    for (const extent of extents) await this.#readExtent(extent, this.#advise, signal)
  }

  #waitingBytes(): number {
    const waiting = [...this.#read].filter(([identity]) => !this.#sessions.holds({ identity }))
    return waiting.reduce((sum, [, bytes]) => sum + bytes, 0)
  }

  #remember(identity: string, bytes: number): void {
    this.#read.set(identity, bytes)
    let total = [...this.#read.values()].reduce((sum, each) => sum + each, 0)
    for (const [oldest, size] of this.#read) {
      if (total <= this.#sessions.budgetBytes) return
      this.#read.delete(oldest)
      total -= size
    }
  }

  async #readExtent(
    { path, offset, length }: WeightLocation,
    advise: Advise,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const isOver = () => this.#isEnded || signal?.aborted === true
    if (isOver()) return
    const handle = await open(path, 'r')
    try {
      const end = offset + length
      for (let at = offset; at < end && !isOver(); at += STEP) await advise(handle.fd, at, Math.min(STEP, end - at))
    } finally {
      await handle.close()
    }
  }
}

/** Places as few long ones, by file and from its beginning to its end. */
export function mergePlaces(places: readonly WeightLocation[]): WeightLocation[] {
  const sorted = [...places].sort((a, b) => (a.path === b.path ? a.offset - b.offset : a.path < b.path ? -1 : 1))
  const merged: WeightLocation[] = []
  for (const place of sorted) {
    const last = merged.at(-1)
    const end = last && last.offset + last.length
    if (last?.path !== place.path || end === undefined || place.offset > end + SMALL_GAP) merged.push(place)
    else {
      const length = Math.max(end, place.offset + place.length) - last.offset
      merged[merged.length - 1] = { ...last, length }
    }
  }
  return merged
}

function systemAdvise(): Advise | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const call = koffi.load(null).func('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)')
    return (descriptor, offset, length) =>
      new Promise((resolve, reject) => {
        call.async(descriptor, offset, length, WILL_NEED, (error: unknown, status: number) =>
          error ? reject(error) : resolve(status),
        )
      })
  } catch {
    // A system whose C library has no such call.
    return undefined
  }
}
