import { type Engine, loadStableDiffusion, type StableDiffusion } from '@darkroom/engine'
import type { ModelRegistry } from '../models/model-registry.ts'
import type { LocalCheckpoint } from './checkpoint-choice.ts'
import { SafetyCheckers } from './safety-checkers.ts'

export interface ImageEngineOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
}

/** Told what happens while a model loads. */
export type EngineLog = (message: string, level?: 'INFO' | 'WARN') => void

/** The models a runner has loaded, for the handlers of all endpoints. */
export class ImageEngine {
  readonly registry: ModelRegistry
  readonly safetyCheckers: SafetyCheckers
  readonly #options: ImageEngineOptions
  readonly #models = new Map<string, Promise<StableDiffusion>>()

  constructor(options: ImageEngineOptions) {
    this.registry = options.registry
    this.safetyCheckers = new SafetyCheckers(options)
    this.#options = options
  }

  /** What is loaded, by the registry's labels. */
  get warm(): readonly string[] {
    return [...this.#models.keys()]
  }

  /**
   * The checkpoint with its LCM-LoRA merged in, loaded on first use.
   * @throws the engine's errors, see engine-errors.ts
   */
  latentConsistencyModel(checkpoint: LocalCheckpoint, log: EngineLog): Promise<StableDiffusion> {
    const known = this.#models.get(checkpoint.label)
    if (known) return known
    log(`Loading ${checkpoint.label}${checkpoint.lcmLora === undefined ? '' : ' with its LCM-LoRA'}`)
    const loaded = loadStableDiffusion(this.#options.engine, checkpoint.folder, {
      loras: checkpoint.lcmLora === undefined ? [] : [{ path: checkpoint.lcmLora, scale: 1 }],
      onWarning: (message) => log(message, 'WARN'),
    })
    this.#models.set(checkpoint.label, loaded)
    loaded.catch(() => this.#models.delete(checkpoint.label))
    return loaded
  }

  async dispose(): Promise<void> {
    await this.#options.engine.dispose()
  }
}
