import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Engine, loadSafetyChecker, type SafetyChecker, type SafetyCheckerVersion } from '@darkroom/engine'
import type { ModelRegistry } from './model-registry.ts'

/** The models that fal's toolkit checks pictures with. */
const REPOSITORIES: Readonly<Record<SafetyCheckerVersion, string>> = {
  v1: 'CompVis/stable-diffusion-safety-checker',
  v2: 'Falconsai/nsfw_image_detection',
}

export interface SafetyCheckersOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
}

/** The safety checkers on this machine, each loaded on first use. */
export class SafetyCheckers {
  readonly #options: SafetyCheckersOptions
  readonly #loaded = new Map<string, Promise<SafetyChecker>>()

  constructor(options: SafetyCheckersOptions) {
    this.#options = options
  }

  /** The model of a version. */
  repository(version: SafetyCheckerVersion): string {
    return REPOSITORIES[version]
  }

  /**
   * The checker of that version: its own repository or, for v1, the one that came with the checkpoint. It looks each time, so a
   * checker added later is found.
   * @returns undefined when it is not on this machine
   * @throws the engine's errors when it is there and cannot be used: unchecked pictures would be no answer to that
   */
  async find(
    version: SafetyCheckerVersion,
    checkpointFolder: string,
    log: (message: string) => void,
  ): Promise<SafetyChecker | undefined> {
    const folder =
      (await this.#options.registry.find(REPOSITORIES[version])) ?? (await ownChecker(version, checkpointFolder))
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

/** The checkpoint's folder when it has a checker of its own. Many downloads leave the checker's weights out: then it has none. */
async function ownChecker(version: SafetyCheckerVersion, checkpointFolder: string): Promise<string | undefined> {
  if (version !== 'v1') return undefined
  const names = await readdir(join(checkpointFolder, 'safety_checker')).catch((): string[] => [])
  const isComplete = names.includes('config.json') && names.some((name) => name.endsWith('.safetensors'))
  return isComplete ? checkpointFolder : undefined
}
