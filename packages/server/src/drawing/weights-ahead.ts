import { loadControlNet, wholeFile } from '@darkroom/engine'
import { LCM_LORAS, type LcmModelName } from '../endpoints/shared/lcm-models.ts'
import { ModelError } from '../models/model-error.ts'
import type { ModelStore } from '../models/model-store.ts'
import type { AdapterReferences, BaseModelRequest } from './adapted-request.ts'
import { findBase } from './base-model.ts'
import { chooseCheckpoint, latentConsistencyChoice, type ModelSources } from './checkpoint-choice.ts'
import { findControlNet, openFound } from './controlnet-weights.ts'
import { type FindContext, findWeights, type WeightsFinder } from './find-weights.ts'
import type { ImageEngine, ModelChoice } from './image-engine.ts'

/** Adapters that are worth reading before: of megabytes, and named by inputs themselves. */
type NamedAdapters = Partial<Pick<AdapterReferences, 'loras' | 'controlNets'>>

/** A stand-in is small, and stands in for any model: its size is none of the picture's. */
const ANY_SIZE = { width: 512, height: 512 }

/** Reads what a request draws with that names its base model, as far as it is on this machine. */
export async function readAdaptedAhead(
  engine: ImageEngine,
  { model, ...adapters }: { readonly model: BaseModelRequest } & NamedAdapters,
  signal: AbortSignal,
): Promise<void> {
  const context = quietContext(signal)
  const { choice, standIn } = await findBase(localSources(engine), model, ANY_SIZE, context)
  if (!standIn) await readAhead(engine, choice, adapters, context)
}

/** Reads what a latent consistency request draws with, as far as it is on this machine. */
export async function readLatentConsistencyAhead(
  engine: ImageEngine,
  { modelName, ...adapters }: { readonly modelName: LcmModelName } & NamedAdapters,
  signal: AbortSignal,
): Promise<void> {
  const context = quietContext(signal)
  const checkpoint = await chooseCheckpoint(localSources(engine), modelName, LCM_LORAS[modelName], ANY_SIZE, context)
  if (!checkpoint.standIn) await readAhead(engine, latentConsistencyChoice(checkpoint), adapters, context)
}

async function readAhead(
  engine: ImageEngine,
  choice: ModelChoice,
  { loras = [], controlNets = [] }: NamedAdapters,
  context: FindContext,
): Promise<void> {
  const { store } = localSources(engine)
  const readAdapters: Parameters<ImageEngine['readAhead']>[1] = async (opened) => {
    const readControlNet = async (request: (typeof controlNets)[number]) => {
      const found = await findControlNet({ store }, request, context)
      await loadControlNet(opened, await openFound(found, request))
    }
    const readLora = async ({ path }: (typeof loras)[number]) => {
      const found = await findWeights(store, path, { kind: 'lora' }, context)
      if (found.type === 'file') opened.readAhead([await wholeFile(found.path)])
    }
    // One that is not here is no reason to leave the others.
    await Promise.allSettled([...controlNets.map(readControlNet), ...loras.map(readLora)])
  }
  await engine.readAhead(choice, readAdapters, context.signal)
}

/** Where models of this machine alone are found. */
function localSources({ store, registry }: ImageEngine): ModelSources {
  return { store: localFinder(store), registry }
}

function localFinder(store: ModelStore): WeightsFinder {
  return {
    async find(reference, options) {
      const found = await store.findLocal(reference, options)
      if (found !== undefined) return found
      throw new ModelError('offline', `${reference} is not on this machine`)
    },
  }
}

/** Of a request that has not come yet: whatever there is to say is said when it does. */
function quietContext(signal: AbortSignal): FindContext {
  return { signal, log: () => {}, setHeader: () => {}, openOwnFile: async () => undefined }
}
