import { totalmem } from 'node:os'
import { constrainedMemory } from 'node:process'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { OnnxFile } from '../formats/onnx-file.ts'
import type { Graph } from '../graph/graph.ts'
import { infoOf, type NetworkInfo, OutOfMemoryError, type Runtime, type Session } from './session.ts'
import { estimateFileCost, type SessionCost } from './session-cost.ts'

export interface SessionCacheOptions {
  /** Memory for all sessions together. Default: three quarters of what the machine, or its container, has. */
  readonly budgetBytes?: number
  /**
   * What may stay loaded without running: a session that needs more is loaded all the same, and others make room for it. Default: the
   * budget.
   */
  readonly keptBytes?: number
  /**
   * Whether a session stays loaded while another is loaded and there is room for both. Default true; false suits a single picture,
   * whose text encoder and UNet are not needed again.
   */
  readonly keepsIdle?: boolean
}

interface Entry {
  readonly key: string
  readonly weightsIdentity: string
  readonly cost: SessionCost
  readonly session: Session
  load(): Promise<Session>
  loaded: Promise<Session> | undefined
  running: number
  /** Whether it was run since `releaseUnused` looked. */
  used: boolean
}

/**
 * Sessions by component, variant and size, within a memory budget. A session that had to make room is loaded again at its next
 * run, which with prepared weights takes a fraction of a second; one that runs is never unloaded. Weights count once for all
 * sessions that share them.
 */
export class SessionCache {
  readonly budgetBytes: number
  readonly #keptBytes: number
  readonly #runtime: Runtime
  readonly #keepsIdle: boolean
  /** What is loaded or about to be, least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #turn: Promise<unknown> = Promise.resolve()
  readonly #waiting: (() => void)[] = []

  constructor(runtime: Runtime, { budgetBytes, keptBytes, keepsIdle = true }: SessionCacheOptions = {}) {
    this.#runtime = runtime
    this.budgetBytes = budgetBytes ?? 0.75 * availableBytes()
    this.#keptBytes = Math.min(keptBytes ?? this.budgetBytes, this.budgetBytes)
    this.#keepsIdle = keepsIdle
  }

  /** Bytes that the loaded sessions take, as estimated. */
  get usedBytes(): number {
    return totalBytes(this.#loaded())
  }

  /** What the budget has left beside the loaded sessions. */
  get freeBytes(): number {
    return Math.max(0, this.budgetBytes - this.usedBytes)
  }

  /** Whether some session of these weights is loaded. */
  holds({ identity }: Pick<Weights, 'identity'>): boolean {
    return this.#loaded().some(({ weightsIdentity }) => weightsIdentity === identity)
  }

  /**
   * The session of a graph, loaded now unless it is. Releasing it unloads it; running it then loads it again.
   * @param variant what tells this graph from others of the component: outputs, sizes
   * @throws OutOfMemoryError when it cannot fit even alone
   */
  async get(weights: Weights, variant: string, build: () => Graph): Promise<Session> {
    const key = `${weights.name} ${weights.identity} ${variant}`
    return this.#loadedSession(this.#entries.get(key) ?? this.#graphEntry(key, weights, build))
  }

  /**
   * The session of a ready-made model, on the same terms.
   * @throws OutOfMemoryError when it cannot fit even alone
   */
  async open(file: OnnxFile): Promise<Session> {
    const key = `${file.name} ${file.identity}`
    return this.#loadedSession(this.#entries.get(key) ?? this.#fileEntry(key, file))
  }

  /** Unloads everything once it has stopped running. */
  async release(): Promise<void> {
    await Promise.all([...this.#entries.values()].map((entry) => this.#unloadWhenIdle(entry)))
  }

  /** Unloads what was not run since the last call: called at intervals, it gives back what nobody uses any more. */
  async releaseUnused(): Promise<void> {
    const unused = this.#loaded().filter(({ used, running }) => !used && running === 0)
    for (const entry of this.#entries.values()) entry.used = false
    await Promise.all(unused.map((entry) => this.#unload(entry)))
  }

  async #loadedSession(entry: Entry): Promise<Session> {
    await this.#load(entry)
    return entry.session
  }

  #graphEntry(key: string, weights: Weights, build: () => Graph): Entry {
    const graph = build()
    return this.#entry({
      key,
      weightsIdentity: weights.identity,
      cost: this.#runtime.costOf(graph),
      network: graph,
      load: () => this.#runtime.createSession(build(), weights),
    })
  }

  #fileEntry(key: string, file: OnnxFile): Entry {
    return this.#entry({
      key,
      weightsIdentity: file.identity,
      cost: estimateFileCost(file),
      network: file,
      load: () => this.#runtime.openModel(file),
    })
  }

  #entry({
    network,
    ...parts
  }: Pick<Entry, 'key' | 'weightsIdentity' | 'cost' | 'load'> & { network: NetworkInfo }): Entry {
    this.#refuseWhatNeverFits(network, parts.cost)
    const own: Entry = {
      ...parts,
      session: {
        inputs: network.inputs.map(infoOf),
        outputs: network.outputs.map(infoOf),
        run: (...inputs) => this.#run(this.#entries.get(parts.key) ?? own, inputs),
        release: () => this.#unloadWhenIdle(this.#entries.get(parts.key) ?? own),
      },
      loaded: undefined,
      running: 0,
      used: true,
    }
    return own
  }

  /**
   * Refuses a graph that can never run here, before work is done that would be lost with it.
   * @throws OutOfMemoryError when it cannot fit even alone
   */
  requireFits(graph: Graph): void {
    this.#refuseWhatNeverFits(graph, this.#runtime.costOf(graph))
  }

  #refuseWhatNeverFits(network: NetworkInfo, { weightBytes, workBytes }: SessionCost): void {
    const neededBytes = weightBytes + workBytes
    if (neededBytes <= this.budgetBytes) return
    const what = `${network.name} (${network.inputs.map(({ name, shape }) => `${name} ${shape.join('×')}`).join(', ')})`
    throw new OutOfMemoryError(
      `${what} needs ${gigabytes(neededBytes)} (weights ${gigabytes(weightBytes)}, activations ${gigabytes(workBytes)}) and ` +
        `the memory budget is ${gigabytes(this.budgetBytes)}: ask for smaller or fewer pictures, or raise the budget`,
      { neededBytes, limitBytes: this.budgetBytes },
    )
  }

  async #run(entry: Entry, inputs: Parameters<Session['run']>): ReturnType<Session['run']> {
    // Counted as running from here on, so that nothing unloads it between loading and running.
    entry.running++
    entry.used = true
    try {
      return await this.#withRoom(entry, async () => (await this.#load(entry)).run(...inputs))
    } finally {
      entry.running--
      this.#wake()
    }
  }

  /** Loads are one after another, because each decides what has to go. */
  #load(entry: Entry): Promise<Session> {
    this.#entries.delete(entry.key)
    this.#entries.set(entry.key, entry)
    if (entry.loaded) return entry.loaded
    const loaded = this.#turn.then(async () => {
      if (!entry.loaded) await this.#makeRoom(entry)
      entry.loaded ??= this.#withRoom(entry, () => entry.load())
      return entry.loaded
    })
    this.#turn = loaded.catch(() => this.#forget(entry))
    return loaded
  }

  /**
   * Does what memory may not be enough for. Where it was not, all that is idle goes, and it is done once more: what a GPU has left nobody
   * can ask beforehand, and estimates can be too low.
   */
  async #withRoom<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const idle = this.#loaded().filter((other) => other !== entry && other.running === 0)
      if (!(error instanceof OutOfMemoryError) || idle.length === 0) throw error
      await Promise.all(idle.map((other) => this.#unload(other)))
      return work()
    }
  }

  async #makeRoom(entry: Entry): Promise<void> {
    while (!this.#fits(entry)) {
      const idle = this.#loaded().find(({ running }) => running === 0)
      if (idle) await this.#unload(idle)
      else await this.#change()
    }
  }

  #fits(entry: Entry): boolean {
    const loaded = this.#loaded()
    const hasIdle = loaded.some(({ running }) => running === 0)
    if (!this.#keepsIdle && hasIdle) return false
    const total = totalBytes([...loaded, entry])
    return loaded.length === 0 || total <= (hasIdle ? this.#keptBytes : this.budgetBytes)
  }

  #loaded(): Entry[] {
    return [...this.#entries.values()].filter(({ loaded }) => loaded !== undefined)
  }

  async #unloadWhenIdle(entry: Entry): Promise<void> {
    while (entry.running > 0) await this.#change()
    await this.#unload(entry)
  }

  async #unload(entry: Entry): Promise<void> {
    const { loaded } = entry
    this.#forget(entry)
    await loaded?.then(
      (session) => session.release(),
      () => {},
    )
  }

  #forget(entry: Entry): void {
    entry.loaded = undefined
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
    this.#wake()
  }

  /** Resolves when a run has ended or something was unloaded. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function totalBytes(entries: readonly Entry[]): number {
  const weights = new Map<string, number>()
  let total = 0
  for (const { weightsIdentity, cost } of entries) {
    weights.set(weightsIdentity, Math.max(weights.get(weightsIdentity) ?? 0, cost.weightBytes))
    total += cost.workBytes
  }
  for (const bytes of weights.values()) total += bytes
  return total
}

/** A container's limit where there is one; "no limit" comes as a number beyond the machine's memory. */
function availableBytes(): number {
  const limit = constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}
