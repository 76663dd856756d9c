import {
  type Adapters,
  type ControlNet,
  type Engine,
  type ImageEncoder,
  type LoadedIPAdapter,
  loadStableDiffusion,
  PictureThread,
  type StableDiffusion,
} from '@darkroom/engine'
import type { ModelRegistry } from '../models/model-registry.ts'
import type { ModelStore } from '../models/model-store.ts'
import { clipVocabulary } from './clip-vocabulary.ts'
import { FaceAnalysis } from './face-analysis.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'
import { PromptExpansion } from './prompt-expansion.ts'
import { DEFAULT_RECIPES, type Recipes } from './recipes.ts'
import { SafetyCheckers } from './safety-checkers.ts'
import { Vision } from './vision.ts'

export interface ImageEngineOptions {
  readonly engine: Engine
  readonly registry: ModelRegistry
  /** Finds the weights that requests name. */
  readonly store: ModelStore
  /** Default: `DEFAULT_RECIPES`. */
  readonly recipes?: Recipes
  /**
   * Models that stay loaded beside each other: configs, tokenizers and maps of weight files, some ten megabytes each. Sessions, which
   * take gigabytes, have a budget of bytes of their own in the engine. Default 8.
   */
  readonly modelLimit?: number
  /** Whether a request that wants its pictures checked is refused where the checker is missing. Default false. */
  readonly requireSafetyChecker?: boolean
  /** Whether the demo checker, which flags neon pictures, looks where no real one is. Default false. */
  readonly demoSafetyChecker?: boolean
}

/** Told what happens while a model loads. */
export type EngineLog = (message: string, level?: 'INFO' | 'WARN') => void

/** A checkpoint to draw with, and LoRA files that are merged into it for good. */
export interface ModelChoice {
  /** A diffusers folder, or a single file. */
  readonly folder: string
  /** What responses, logs and the banner call it. */
  readonly label: string
  /** Precision variant of the weight files. */
  readonly variant?: string
  /** Folder of a UNet in place of the checkpoint's own. */
  readonly unet?: string
  /** Folder of an autoencoder in place of the checkpoint's own. */
  readonly vae?: string
  /** File of IC-Light's offsets, which are added to the UNet. */
  readonly icLight?: string
  readonly loras?: readonly { readonly path: string; readonly scale: number }[]
}

const DEFAULT_MODEL_LIMIT = 8

/** The models a runner has loaded, for the handlers of all endpoints. */
export class ImageEngine {
  readonly registry: ModelRegistry
  readonly store: ModelStore
  readonly recipes: Recipes
  /** Headers of the LoRAs that were applied last; the engine keeps the factors of one set. */
  readonly loras = new LeastRecentlyUsed<Adapters>(DEFAULT_MODEL_LIMIT)
  readonly controlNets = new LeastRecentlyUsed<ControlNet>(DEFAULT_MODEL_LIMIT)
  readonly ipAdapters = new LeastRecentlyUsed<LoadedIPAdapter>(DEFAULT_MODEL_LIMIT)
  readonly imageEncoders = new LeastRecentlyUsed<ImageEncoder>(DEFAULT_MODEL_LIMIT)
  readonly safetyCheckers: SafetyCheckers
  readonly promptExpansion: PromptExpansion
  readonly vision: Vision
  readonly faceAnalysis: FaceAnalysis
  /** Works on every pixel of large pictures. */
  readonly pictures = new PictureThread()
  readonly engine: Engine
  readonly #models: LeastRecentlyUsed<StableDiffusion>

  constructor(options: ImageEngineOptions) {
    this.registry = options.registry
    this.store = options.store
    this.recipes = options.recipes ?? DEFAULT_RECIPES
    this.safetyCheckers = new SafetyCheckers(options)
    this.promptExpansion = new PromptExpansion(options)
    this.vision = new Vision(options)
    this.faceAnalysis = new FaceAnalysis(this.vision)
    this.engine = options.engine
    this.#models = new LeastRecentlyUsed(options.modelLimit ?? DEFAULT_MODEL_LIMIT)
  }

  /** What is loaded, by the models' labels. */
  get warm(): readonly string[] {
    return [...new Set(this.#models.keys.map((key) => (JSON.parse(key) as [string])[0]))]
  }

  /**
   * The model, loaded on first use and when it was not used for long. Whatever of its weights no session holds is read from the disk
   * meanwhile, also while another request draws.
   * @throws the engine's errors, see engine-errors.ts
   */
  async model(choice: ModelChoice, log: EngineLog): Promise<StableDiffusion> {
    const model = await this.#models.get(keyOf(choice), async () => {
      log(`Loading ${choice.label}${choice.loras?.length ? ' with a LoRA merged in' : ''}`)
      return this.#load(this.engine, choice, log)
    })
    this.engine.readAhead(model.weights)
    return model
  }

  /**
   * Has what a model would be drawn with read from the disk, as far as there is room beside what is in use; loads and keeps nothing.
   * @param also opens what is drawn with it, in the engine that is given
   * @throws the engine's errors
   */
  async readAhead(
    choice: ModelChoice,
    also: (engine: Engine, model: StableDiffusion) => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<void> {
    const open = async (engine: Engine) => {
      const opened = await this.#models.peek(keyOf(choice))
      if (opened) engine.readAhead(opened.weights)
      await also(engine, opened ?? (await this.#load(engine, choice, () => {})))
    }
    await this.engine.foresee(open, signal)
  }

  async #load(engine: Engine, choice: ModelChoice, log: EngineLog): Promise<StableDiffusion> {
    const { folder, loras = [], variant, unet, vae, icLight } = choice
    const tokenizer = await clipVocabulary(this.registry, folder)
    return loadStableDiffusion(engine, folder, {
      loras,
      ...(tokenizer !== undefined && { tokenizer }),
      ...(variant !== undefined && { variant }),
      ...(unet !== undefined && { unet }),
      ...(vae !== undefined && { vae }),
      ...(icLight !== undefined && { icLight }),
      onWarning: (message) => log(message, 'WARN'),
    })
  }

  async dispose(): Promise<void> {
    await this.pictures.dispose()
    await this.engine.dispose()
  }
}

function keyOf({ label, folder, variant, unet, vae, icLight, loras = [] }: ModelChoice): string {
  return JSON.stringify([label, folder, variant, unet, vae, icLight, loras.map(({ path, scale }) => [path, scale])])
}
