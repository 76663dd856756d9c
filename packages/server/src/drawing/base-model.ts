import type { StableDiffusion } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { FoundModel } from '../models/model-store.ts'
import type { BaseModelRequest } from './adapted-request.ts'
import { bundledCheckpoint, type ModelSources, standInFor } from './checkpoint-choice.ts'
import { toWireError } from './engine-errors.ts'
import { type FindContext, findBaseModel, findWeights, pathOf } from './find-weights.ts'
import type { ImageEngine, ModelChoice } from './image-engine.ts'
import type { PictureSize } from './picture-size.ts'

/** A base model that is on this machine. */
export interface FoundBaseModel {
  readonly choice: ModelChoice
  /** True when a bundled demo checkpoint stands in for the model that was asked for. */
  readonly standIn: boolean
}

/** The model that draws. */
export interface BaseModel extends FoundBaseModel {
  readonly model: StableDiffusion
}

/**
 * The base model that a request names, fetched where that is allowed; where it is not on this machine and is not fetched, a bundled demo
 * checkpoint, which the request's log and the header `x-darkroom-model` say.
 * @throws WireError 422 when the reference leads to something that is no base model
 */
export async function findBase(
  sources: ModelSources,
  asked: BaseModelRequest,
  size: PictureSize,
  context: FindContext,
): Promise<FoundBaseModel> {
  const { choice: own, standIn } = await findOwn(sources, asked, size, context)
  const choice = await withIcLight(sources, own, asked, context)
  context.setHeader('x-darkroom-model', choice.label)
  return { choice, standIn }
}

async function findOwn(
  sources: ModelSources,
  asked: BaseModelRequest,
  size: PictureSize,
  context: FindContext,
): Promise<FoundBaseModel> {
  const bundled = bundledCheckpoint(sources.registry, asked.name)
  if (bundled !== undefined) return { choice: await withUNet(sources, bundled, asked, context), standIn: false }
  const found = await findBaseModel(sources.store, asked, context)
  if (found.type === 'absent') return { choice: standInFor(sources.registry, size, found, context), standIn: true }
  return { choice: await withUNet(sources, choiceOf(found), asked, context), standIn: false }
}

/** @throws WireError 422 when it cannot be loaded */
export async function loadBase(
  engine: ImageEngine,
  found: FoundBaseModel,
  { log }: HandlerContext,
): Promise<BaseModel> {
  const model = await engine.model(found.choice, log).catch((error) => {
    throw toWireError(error, { model: 'model_name' })
  })
  return { ...found, model }
}

function choiceOf(found: FoundModel): ModelChoice {
  const variant = found.type === 'file' ? undefined : found.variant
  return { folder: pathOf(found), label: found.label, ...(variant !== undefined && { variant }) }
}

async function withUNet(
  sources: ModelSources,
  choice: ModelChoice,
  { unetName, variant }: BaseModelRequest,
  context: FindContext,
): Promise<ModelChoice> {
  if (!unetName) return choice
  const found = await findWeights(sources.store, unetName, { kind: 'unet', ...(variant && { variant }) }, context)
  return { ...choice, label: `${choice.label} with the UNet of ${found.label}`, unet: pathOf(found) }
}

async function withIcLight(
  sources: ModelSources,
  choice: ModelChoice,
  { icLight }: BaseModelRequest,
  context: FindContext,
): Promise<ModelChoice> {
  if (!icLight) return choice
  const found = await findWeights(sources.store, icLight, { kind: 'ic-light' }, context)
  return { ...choice, label: `${choice.label} with ${found.label}`, icLight: pathOf(found) }
}
