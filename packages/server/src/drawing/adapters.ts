import {
  type Adapters,
  applyControlNets,
  applyEmbeddings,
  applyIcLight,
  applyImagePrompts,
  applyLoras,
  type ControlNetParameters,
  type ControlTokens,
  type EmbeddingFile,
  EngineError,
  type ImagePromptParameters,
  type LoraFile,
  ParameterError,
  type SortedLoras,
  type StableDiffusion,
  sortLoras,
  type UNetAdapter,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import type {
  AdapterReferences,
  AdaptersRequest,
  ControlNetRequest,
  EmbeddingRequest,
  LoraRequest,
} from './adapted-request.ts'
import { adapterFieldError } from './adapter-fields.ts'
import type { BaseModel } from './base-model.ts'
import { findControlNet, openControlNet } from './controlnet-weights.ts'
import { standInHint } from './demo-adapters.ts'
import { findWeights, pathOf } from './find-weights.ts'
import type { ImageEngine } from './image-engine.ts'
import { findImageEncoder, findImagePrompt, type OpenedImagePrompt, openImagePrompt } from './image-prompt.ts'
import type { PictureSize } from './picture-size.ts'

/** A base model, and what a request applies to it. */
export interface AdaptedModel {
  readonly model: StableDiffusion
  readonly adapters: Adapters
}

/**
 * Finds the weights of a request's adapters, fetched where that is allowed, before it takes the device.
 * @throws WireError 422 with a sentence for weights that are not here or are no adapter
 */
export async function findAdapters(
  engine: ImageEngine,
  { loras = [], embeddings = [], controlNets = [], imagePrompts = [], imageEncoder }: Partial<AdapterReferences>,
  context: HandlerContext,
): Promise<void> {
  for (const lora of loras) await findLora(engine, lora, context)
  for (const embedding of embeddings) await findEmbedding(engine, embedding, context)
  for (const controlNet of controlNets) await findControlNet(engine, controlNet, context)
  for (const imagePrompt of imagePrompts) await findImagePrompt(engine, imagePrompt, context)
  if (imageEncoder) await findImageEncoder(engine, imageEncoder, context)
}

/**
 * Applies a request's adapters to its base model: found, fetched where that is allowed, and ready to be passed to a pipeline.
 * @param size of the pictures that the model draws
 * @throws WireError 422 with a sentence for weights that are not here, are no adapter, or belong to another base
 */
export async function openAdapters(
  engine: ImageEngine,
  base: BaseModel,
  request: AdaptersRequest,
  size: PictureSize,
  context: HandlerContext,
): Promise<AdaptedModel> {
  const warn = (message: string) => context.log(message, 'WARN')
  try {
    const { beside, merged } = await sortLoras(base.model, await findLoras(engine, request, context), warn)
    const loraFiles = [...(base.choice.loras ?? []), ...merged]
    const merging =
      merged.length > 0 ? await engine.model({ ...base.choice, loras: loraFiles }, context.log) : base.model
    const model = await applyEmbeddings(merging, await findEmbeddings(engine, request, context), warn)
    const images = await openImagePrompts(engine, model, request, context)
    const loras = await lorasBeside(engine, base, merging, [...beside, ...images.loras])
    const conditioners = await openConditioners(engine, model, images.prompts, request, size, context)
    return { model, adapters: { ...loras, unet: [...(loras.unet ?? []), ...conditioners] } }
  } catch (error) {
    const answer = adapterFieldError(error)
    const isOfAnotherBase = base.standIn && error instanceof EngineError && error.kind === 'model'
    if (!isOfAnotherBase || !(answer instanceof WireError)) throw answer
    throw new WireError(answer.status, `${answer.message}${standInHint(base.choice.label)}`, { cause: error })
  }
}

async function findLoras(
  engine: ImageEngine,
  { loras }: AdaptersRequest,
  context: HandlerContext,
): Promise<LoraFile[]> {
  const files: LoraFile[] = []
  for (const lora of loras) files.push({ path: pathOf(await findLora(engine, lora, context)), scale: lora.scale })
  return files
}

function findLora(engine: ImageEngine, { path }: Pick<LoraRequest, 'path'>, context: HandlerContext) {
  return findWeights(engine.store, path, { kind: 'lora' }, context)
}

async function findEmbeddings(
  engine: ImageEngine,
  { embeddings }: AdaptersRequest,
  context: HandlerContext,
): Promise<EmbeddingFile[]> {
  const files: EmbeddingFile[] = []
  for (const embedding of embeddings) {
    const { tokens } = embedding
    const path = pathOf(await findEmbedding(engine, embedding, context))
    files.push({ path, ...(tokens.length > 0 && { tokens }) })
  }
  return files
}

function findEmbedding(engine: ImageEngine, { path }: Pick<EmbeddingRequest, 'path'>, context: HandlerContext) {
  return findWeights(engine.store, path, { kind: 'embedding' }, context)
}

/** The same LoRAs as those of a request before are the same object, whose factors the engine may still have. */
function lorasBeside(
  engine: ImageEngine,
  { choice }: BaseModel,
  model: StableDiffusion,
  loras: SortedLoras['beside'],
): Promise<Adapters> {
  if (loras.length === 0) return Promise.resolve({})
  const key = JSON.stringify([choice, loras.map(({ lora, scale }) => [lora.file.identity, scale])])
  return engine.loras.get(key, async () => applyLoras(model, loras))
}

interface OpenedImagePrompts {
  readonly prompts: readonly ImagePromptParameters[]
  /** LoRAs that FaceID adapters bring along. */
  readonly loras: SortedLoras['beside']
}

async function openImagePrompts(
  engine: ImageEngine,
  model: StableDiffusion,
  { imagePrompts, imageEncoder }: AdaptersRequest,
  context: HandlerContext,
): Promise<OpenedImagePrompts> {
  const opened: OpenedImagePrompt[] = []
  for (const [i, prompt] of imagePrompts.entries()) {
    opened.push(await openImagePrompt(engine, model, prompt, { index: i, encoder: imageEncoder }, context))
  }
  return {
    prompts: opened.map(({ parameters }) => parameters),
    loras: opened.flatMap(({ lora }) => (lora ? [{ lora, scale: 1 }] : [])),
  }
}

/** What is shown to the UNet beside the prompt, in the order in which its inputs are named. */
async function openConditioners(
  engine: ImageEngine,
  model: StableDiffusion,
  prompts: readonly ImagePromptParameters[],
  request: AdaptersRequest,
  size: PictureSize,
  context: HandlerContext,
): Promise<UNetAdapter[]> {
  const adapters: UNetAdapter[] = []
  let tokens: readonly ControlTokens[] = []
  if (prompts.length > 0) {
    const applied = await applyImagePrompts(model, prompts, size)
    adapters.push(applied.adapter)
    tokens = applied.tokens
  }
  if (request.controlNets.length > 0) {
    const controls: ControlNetParameters[] = []
    for (const [i, control] of request.controlNets.entries()) {
      controls.push({
        ...(await openControlNet(engine, control, context)),
        ...tokensFor(control, i, tokens),
      })
    }
    adapters.push(applyControlNets(model, controls, { ...size, guessMode: request.guessMode }))
  }
  if (request.light) adapters.push(await applyIcLight(model, request.light, size))
  return adapters
}

function tokensFor(
  { imagePromptIndex: index }: ControlNetRequest,
  i: number,
  tokens: readonly ControlTokens[],
): Pick<ControlNetParameters, 'tokens'> {
  if (index === undefined) return {}
  const own = tokens[index]
  if (own) return { tokens: own }
  throw new ParameterError(
    `controlnets.${i}.ip_adapter_index`,
    `must be the index of one of the ${tokens.length} IP-Adapters, got ${index}`,
  )
}
