import { type Engine, loadSafetyChecker, type SafetyChecker } from '@darkroom/engine'
import type { ModelRegistry } from '../models/model-registry.ts'
import { type SafetyCheckerVersion, safetyCheckerFolder } from '../models/safety-checker-folder.ts'

export interface SafetyCheckersOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
  /** Whether a request that wants its pictures checked is refused where the checker is missing. Default false. */
  readonly requireSafetyChecker?: boolean
}

/** The safety checkers on this machine, each loaded on first use. */
export class SafetyCheckers {
  readonly #options: SafetyCheckersOptions
  readonly #loaded = new Map<string, Promise<SafetyChecker>>()

  constructor(options: SafetyCheckersOptions) {
    this.#options = options
  }

  /** Whether nothing may be drawn unchecked that was to be checked. */
  get areRequired(): boolean {
    return this.#options.requireSafetyChecker ?? false
  }

  /**
   * The checker of that version. It looks each time, so a checker added later is found.
   * @returns undefined when it is not on this machine
   * @throws the engine's errors when it is there and cannot be used: unchecked pictures would be no answer to that
   */
  async find(
    version: SafetyCheckerVersion,
    checkpointFolder: string,
    log: (message: string) => void,
  ): Promise<SafetyChecker | undefined> {
    const folder = await safetyCheckerFolder(this.#options.registry, version, checkpointFolder)
    if (folder === undefined) return undefined
    const known = this.#loaded.get(folder)
    if (known) return known
    log(`Loading the safety checker ${version}`)
    const loading = loadSafetyChecker(this.#options.engine, folder)
    this.#loaded.set(folder, loading)
    loading.catch(() => this.#loaded.delete(folder))
    return loading
  }
}
