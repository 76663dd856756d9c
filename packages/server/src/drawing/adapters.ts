import {
  type Adapters,
  applyEmbeddings,
  applyLoras,
  type EmbeddingFile,
  type LoraFile,
  type SortedLoras,
  type StableDiffusion,
  sortLoras,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { AdaptersRequest, EmbeddingRequest, LoraRequest } from './adapted-request.ts'
import type { BaseModel } from './base-model.ts'
import { toWireError } from './engine-errors.ts'
import { findWeights, pathOf } from './find-weights.ts'
import type { ImageEngine } from './image-engine.ts'

/** A base model, and what a request applies to it. */
export interface AdaptedModel {
  readonly model: StableDiffusion
  readonly adapters: Adapters
}

/**
 * Applies a request's adapters to its base model: found, fetched where that is allowed, and ready to be passed to a pipeline.
 * @throws WireError 422 with a sentence for weights that are not here, are no adapter, or belong to another base
 */
export async function openAdapters(
  engine: ImageEngine,
  base: BaseModel,
  request: AdaptersRequest,
  context: HandlerContext,
): Promise<AdaptedModel> {
  const files = await findLoras(engine, request.loras, context)
  const embeddings = await findEmbeddings(engine, request.embeddings, context)
  const warn = (message: string) => context.log(message, 'WARN')
  try {
    const { beside, merged } = await sortLoras(base.model, files, warn)
    const model = merged.length > 0 ? await engine.model({ ...base.choice, loras: merged }, context.log) : base.model
    const adapters = await lorasBeside(engine, base, model, beside)
    return { model: await applyEmbeddings(model, embeddings, warn), adapters }
  } catch (error) {
    throw toWireError(error)
  }
}

async function findLoras(
  engine: ImageEngine,
  loras: readonly LoraRequest[],
  context: HandlerContext,
): Promise<LoraFile[]> {
  const files: LoraFile[] = []
  for (const { path, scale } of loras) {
    files.push({ path: pathOf(await findWeights(engine.store, path, { kind: 'lora' }, context)), scale })
  }
  return files
}

async function findEmbeddings(
  engine: ImageEngine,
  embeddings: readonly EmbeddingRequest[],
  context: HandlerContext,
): Promise<EmbeddingFile[]> {
  const files: EmbeddingFile[] = []
  for (const { path, tokens } of embeddings) {
    const found = await findWeights(engine.store, path, { kind: 'embedding' }, context)
    files.push({ path: pathOf(found), ...(tokens.length > 0 && { tokens }) })
  }
  return files
}

/** Factors that were read for the last requests are still there. */
function lorasBeside(
  engine: ImageEngine,
  { choice }: BaseModel,
  model: StableDiffusion,
  loras: SortedLoras['beside'],
): Promise<Adapters> {
  if (loras.length === 0) return Promise.resolve({})
  const key = JSON.stringify([choice.label, choice.folder, loras.map(({ lora, scale }) => [lora.file.identity, scale])])
  return engine.loras.get(key, () => applyLoras(model, loras))
}
