import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { BaseModel, FoundBaseModel } from './base-model.ts'
import { type LocalCheckpoint, latentConsistencyChoice } from './checkpoint-choice.ts'
import type { ImageEngine } from './image-engine.ts'

/** A demo checkpoint with its LCM-LoRA, in place of a model whose own LCM-LoRA is not for it. */
export async function latentConsistencyStandIn(
  engine: ImageEngine,
  base: FoundBaseModel,
  { log }: HandlerContext,
): Promise<BaseModel> {
  const choice = latentConsistencyChoice(base.choice as LocalCheckpoint)
  return { ...base, choice, model: await engine.model(choice, log) }
}

/** Adapters that were made for the demo checkpoint, by what they do where it stands in for a model and its adapters. */
export const STAND_IN_ADAPTERS = {
  canny: 'pinhole/canny',
  pose: 'pinhole/pose',
  ipAdapter: 'pinhole/ip-adapter',
  identity: 'pinhole/instantid',
  identityControlNet: 'pinhole/instantid/ControlNetModel',
} as const

/**
 * The log says that what is drawn with is not what was asked for.
 * @param what they take over, as a phrase
 */
export function noteStandInAdapters(
  what: string,
  names: readonly (keyof typeof STAND_IN_ADAPTERS)[],
  { log }: HandlerContext,
): void {
  const ids = names.map((name) => STAND_IN_ADAPTERS[name]).join(' and ')
  log(`What takes over ${what} belongs to the model that is not here: ${ids} show the field in its place`, 'WARN')
}
