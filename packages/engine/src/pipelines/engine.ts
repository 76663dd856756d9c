import { type ReadableWeights, WeightCache, type Weights } from '../checkpoint/prepared-weights.ts'
import type { FastForm } from '../runtime/fast-form.ts'
import { ReadAhead } from '../runtime/read-ahead.ts'
import type { ExecutionProvider, Runtime } from '../runtime/session.ts'
import { SessionCache } from '../runtime/session-cache.ts'
import { WorkerRuntime } from '../runtime/worker-runtime.ts'

export interface EngineOptions {
  /** Threads within one operator. Default: the number of physical cores. */
  readonly threads?: number
  readonly executionProvider?: ExecutionProvider
  /** Which of several GPUs. Default 0. */
  readonly deviceNumber?: number
  /** What UNets, autoencoders and ControlNets run as; absent: in float32, for which parity with diffusers is promised. */
  readonly fast?: FastForm
  /** Where weights that cannot be mapped as they lie are prepared and kept; a private temporary folder when absent. */
  readonly cacheFolder?: string
  /** Prepared weights beyond so many bytes are removed, least recently used first. Default 40 GB. */
  readonly preparedWeightsBytes?: number
  /** Memory for all loaded sessions. Default: three quarters of the machine's, or its container's. */
  readonly memoryBudgetBytes?: number
  /** What may stay loaded of it without running. Default: all of it. */
  readonly keptBytes?: number
  /**
   * Whether sessions stay loaded beside each other while there is room. Default true; false keeps one at a time, which holds a single
   * picture to the memory of its largest model.
   */
  readonly keepsIdle?: boolean
}

/** What all loaded models share: the threads of sessions, one memory budget, one folder of prepared weights. */
export interface Engine {
  readonly runtime: Runtime
  readonly sessions: SessionCache
  readonly weightCache: Pick<WeightCache, 'prepare'>
  /** Whether prepared weights outlive the process, so that making the fastest form of them pays. */
  readonly keepsPreparedWeights: boolean
  /** Starts the thread of sessions and learns what it needs of the processor, so that the first picture does not wait for that. */
  warmUp(): Promise<void>
  /** Has the system read weights that sessions will map, in this order; a hint that nobody waits for. */
  readAhead(weights: readonly ReadableWeights[]): void
  /**
   * Has the system read what `open` opens, the models of a picture that may be drawn next, as far as the memory budget has room beside the
   * present ones. The engine that `open` is given prepares no weights: what it opens is not to be run. Resolves when all is read.
   * @param signal ends it
   * @throws what `open` throws
   */
  foresee(open: (engine: Engine) => Promise<unknown>, signal: AbortSignal): Promise<void>
  /** Ends the sessions of every model and removes what was temporary. */
  dispose(): Promise<void>
}

export function openEngine(options: EngineOptions = {}): Engine {
  const {
    cacheFolder,
    preparedWeightsBytes: maxBytes,
    memoryBudgetBytes,
    keptBytes,
    keepsIdle = true,
    ...runtimeOptions
  } = options
  const runtime = new WorkerRuntime(runtimeOptions)
  const weightCache = new WeightCache({
    ...(cacheFolder !== undefined && { folder: cacheFolder }),
    ...(maxBytes !== undefined && { maxBytes }),
  })
  const sessions = new SessionCache(runtime, {
    keepsIdle,
    ...(memoryBudgetBytes !== undefined && { budgetBytes: memoryBudgetBytes }),
    ...(keptBytes !== undefined && { keptBytes }),
  })
  const ahead = new ReadAhead(sessions)
  const engine: Engine = {
    runtime,
    sessions,
    weightCache,
    keepsPreparedWeights: cacheFolder !== undefined,
    async warmUp() {
      await runtime.convolutionBlock()
    },
    readAhead: (weights) => void ahead.read(weights),
    async foresee(open, signal) {
      const found: Weights[] = []
      const inOrder: ReadableWeights[] = []
      const prepare: WeightCache['prepare'] = async (stored, options) => {
        signal.throwIfAborted()
        const weights = await weightCache.foresee(stored, options)
        found.push(weights)
        return weights
      }
      await open({ ...engine, weightCache: { prepare }, readAhead: (weights) => void inOrder.push(...weights) })
      await ahead.foresee([...new Set([...inOrder, ...found])], signal)
    },
    async dispose() {
      await ahead.end()
      await runtime.dispose()
      await weightCache.dispose()
    },
  }
  return engine
}
