import { type Engine, loadSafetyChecker, type SafetyChecker } from '@darkroom/engine'
import type { ModelRegistry } from '../models/model-registry.ts'
import { type SafetyCheckerVersion, safetyCheckerFolder } from '../models/safety-checker-folder.ts'

export interface SafetyCheckersOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
  /** Whether a request that wants its pictures checked is refused where the checker is missing. Default false. */
  readonly requireSafetyChecker?: boolean
  /** Whether the demo checker, which flags neon pictures, looks where no real one is. Default false. */
  readonly demoSafetyChecker?: boolean
}

/** A checker, and whether it is the demo's, which keeps nobody safe. */
export interface FoundChecker {
  readonly checker: SafetyChecker
  readonly isDemo: boolean
}

const DEMO_CHECKER = 'pinhole-safety-checker'

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
   * The checker of that version, or the demo's where it is wanted. It looks each time, so a checker added later is found.
   * @returns undefined when there is none on this machine
   * @throws the engine's errors when it is there and cannot be used: unchecked pictures would be no answer to that
   */
  async find(
    version: SafetyCheckerVersion,
    checkpointFolder: string,
    log: (message: string) => void,
  ): Promise<FoundChecker | undefined> {
    const { registry, demoSafetyChecker = false } = this.#options
    const real = await safetyCheckerFolder(registry, version, checkpointFolder)
    if (real !== undefined) return { checker: await this.#load(real, version, log), isDemo: false }
    if (!demoSafetyChecker || this.areRequired) return undefined
    return { checker: await this.#load(registry.bundled(DEMO_CHECKER), DEMO_CHECKER, log), isDemo: true }
  }

  #load(folder: string, label: string, log: (message: string) => void): Promise<SafetyChecker> {
    const known = this.#loaded.get(folder)
    if (known) return known
    log(`Loading the safety checker ${label}`)
    const loading = loadSafetyChecker(this.#options.engine, folder)
    this.#loaded.set(folder, loading)
    loading.catch(() => this.#loaded.delete(folder))
    return loading
  }
}
