import type { HandlerContext } from '../endpoints/endpoint.ts'
import { type AdaptedRequest, NO_ADAPTERS } from './adapted-request.ts'
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

/** A request without its adapters, for a demo checkpoint that stands in; the log says what the picture lacks. */
export function withoutAdapters(request: AdaptedRequest, missing: string, { log }: HandlerContext): AdaptedRequest {
  log(
    `${missing} belongs to the model that is not here: the picture follows the prompt and the input picture alone`,
    'WARN',
  )
  return { ...request, adapters: NO_ADAPTERS }
}
