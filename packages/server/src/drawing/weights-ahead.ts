import {
  type Engine,
  loadControlNet,
  loadImageEncoder,
  openComponent,
  projectionSources,
  type StableDiffusion,
  wholeFile,
} from '@darkroom/engine'
import { LCM_LORAS, type LcmModelName } from '../endpoints/shared/lcm-models.ts'
import { ModelError } from '../models/model-error.ts'
import type { FindOptions, FoundModel, ModelStore } from '../models/model-store.ts'
import type { AdapterReferences, BaseModelRequest } from './adapted-request.ts'
import { findBase } from './base-model.ts'
import { chooseCheckpoint, latentConsistencyChoice } from './checkpoint-choice.ts'
import { findControlNet, openFound } from './controlnet-weights.ts'
import { findFacePack, findNamedFacePack } from './face-pack.ts'
import { type FindContext, findWeights } from './find-weights.ts'
import type { ImageEngine, ModelChoice } from './image-engine.ts'
import { findEncoder, findImagePrompt, openIPAdapter } from './image-prompt.ts'

/** Adapters that are worth reading before: a textual inversion has kilobytes. */
type NamedAdapters = Partial<Omit<AdapterReferences, 'embeddings'>>

/** A stand-in is small, and stands in for any model: its size is none of the picture's. */
const ANY_SIZE = { width: 512, height: 512 }

/** Reads what a request draws with that names its base model, as far as it is on this machine. */
export async function readAdaptedAhead(
  engine: ImageEngine,
  { model, ...adapters }: { readonly model: BaseModelRequest } & NamedAdapters,
  signal: AbortSignal,
): Promise<void> {
  const ahead = new WeightsAhead(engine, signal)
  const { choice, standIn } = await findBase(ahead, model, ANY_SIZE, ahead.context)
  if (!standIn) await ahead.read(choice, adapters)
}

/** Reads what a latent consistency request draws with, as far as it is on this machine. */
export async function readLatentConsistencyAhead(
  engine: ImageEngine,
  { modelName, ...adapters }: { readonly modelName: LcmModelName } & NamedAdapters,
  signal: AbortSignal,
): Promise<void> {
  const ahead = new WeightsAhead(engine, signal)
  const checkpoint = await chooseCheckpoint(ahead, modelName, LCM_LORAS[modelName], ANY_SIZE, ahead.context)
  if (!checkpoint.standIn) await ahead.read(latentConsistencyChoice(checkpoint), adapters)
}

/** What one request that has not come yet will be drawn with, of the models of this machine. */
class WeightsAhead {
  readonly store: LocalStore
  readonly registry: ImageEngine['registry']
  /** Whatever there is to say is said when the request comes. */
  readonly context: FindContext
  readonly #engine: ImageEngine

  constructor(engine: ImageEngine, signal: AbortSignal) {
    this.#engine = engine
    this.store = new LocalStore(engine.store)
    this.registry = engine.registry
    this.context = { signal, log: () => {}, setHeader: () => {}, openOwnFile: async () => undefined }
  }

  async read(choice: ModelChoice, adapters: NamedAdapters): Promise<void> {
    await this.#engine.readAhead(
      choice,
      // One that is not here is no reason to leave the others.
      async (engine, model) => Promise.allSettled(this.#openEach(engine, model, adapters)),
      this.context.signal,
    )
  }

  #openEach(engine: Engine, model: StableDiffusion, adapters: NamedAdapters): Promise<void>[] {
    const { loras = [], controlNets = [], imagePrompts = [], imageEncoder } = adapters
    return [
      ...imagePrompts.map((prompt) => this.#openImagePrompt(engine, model, prompt, imageEncoder)),
      ...controlNets.map((controlNet) => this.#openControlNet(engine, controlNet)),
      ...loras.map((lora) => this.#openLora(engine, lora)),
    ]
  }

  async #openLora(engine: Engine, { path }: AdapterReferences['loras'][number]): Promise<void> {
    const found = await findWeights(this.store, path, { kind: 'lora' }, this.context)
    if (found.type === 'file') engine.readAhead([await wholeFile(found.path)])
  }

  async #openControlNet(engine: Engine, request: AdapterReferences['controlNets'][number]): Promise<void> {
    await loadControlNet(engine, await openFound(await findControlNet(this, request, this.context), request))
  }

  /** With the image encoder that looks at its pictures, or what tells their faces apart. */
  async #openImagePrompt(
    engine: Engine,
    model: StableDiffusion,
    request: AdapterReferences['imagePrompts'][number],
    encoder: AdapterReferences['imageEncoder'],
  ): Promise<void> {
    const found = await findImagePrompt(this, request, this.context)
    if (found.type !== 'file') return
    const { adapter } = await openIPAdapter(engine, model, found.path)
    const { pictures, faces } = projectionSources(adapter.projection)
    if (faces) await this.#openFaceNetworks(engine, request.faceNetworks)
    if (!pictures) return
    const { folder } = await findEncoder(this, request, encoder, found.path, this.context)
    await loadImageEncoder(engine, await openComponent(folder, 'image_encoder'))
  }

  async #openFaceNetworks(engine: Engine, named?: string): Promise<void> {
    const { detector, embedder } =
      named === undefined ? await findFacePack(this.store) : await findNamedFacePack(this.store, named, this.context)
    for (const file of [detector, embedder]) if (file) engine.readAhead([await wholeFile(file.path)])
  }
}

/** A store that has what is on this machine, and fetches nothing. */
class LocalStore implements Pick<ModelStore, 'find' | 'findLocal'> {
  readonly #store: ModelStore

  constructor(store: ModelStore) {
    this.#store = store
  }

  findLocal(reference: string, options: FindOptions): Promise<FoundModel | undefined> {
    return this.#store.findLocal(reference, options)
  }

  async find(reference: string, options: FindOptions): Promise<FoundModel> {
    const found = await this.findLocal(reference, options)
    if (found !== undefined) return found
    throw new ModelError('offline', `${reference} is not on this machine`)
  }
}
