import type { z } from 'zod'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { inputPicture, maskedPicture, sizeOfInput } from '../../../drawing/input-pictures.ts'
import {
  drawLatentConsistency,
  type LcmPreparation,
  type LcmRequest,
  prepareLatentConsistency,
} from '../../../drawing/latent-consistency.ts'
import type { OutputPicture } from '../../../drawing/picture-output.ts'
import { inShapeOf } from '../../../drawing/run-steps.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { requireSteps } from '../../../drawing/strength.ts'
import { readLatentConsistencyAhead } from '../../../drawing/weights-ahead.ts'
import { type Drawing, type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { resolveImageSize } from '../../shared/image-size.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage, fastLcmDiffusionInpainting } from './schema.ts'

type TextInput = z.output<typeof fastLcmDiffusion.input>

/** Text to image in a few steps, and the same from a picture or a part of one. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  const readAhead = ({ model_name: modelName }: Pick<TextInput, 'model_name'>, signal: AbortSignal) =>
    readLatentConsistencyAhead(engine, { modelName }, signal)
  return [
    runnable(
      fastLcmDiffusion,
      ({ image_size, ...input }, context) => answer(engine, input, { size: resolveImageSize(image_size) }, context),
      readAhead,
    ),
    runnable(
      fastLcmDiffusionImageToImage,
      async ({ image_size, ...input }, context) => {
        requireSteps(input.num_inference_steps, input.strength)
        const image = await inputPicture(engine, input, context)
        const size = image_size ? resolveImageSize(image_size) : sizeOfInput(image)
        return answer(engine, input, { size, start: { image, strength: input.strength } }, context)
      },
      readAhead,
    ),
    runnable(
      fastLcmDiffusionInpainting,
      async ({ image_size, ...input }, context) => {
        requireSteps(input.num_inference_steps, input.strength)
        const { image, mask } = await maskedPicture(engine, input, context)
        const size = image_size ? resolveImageSize(image_size) : sizeOfInput(image)
        return answer(engine, input, { size, start: { image, mask, strength: input.strength } }, context)
      },
      readAhead,
    ),
  ]
}

/** Key order as the live service sends it; what has no value is left out. */
interface Output {
  readonly images: readonly OutputPicture[]
  readonly timings: Readonly<Record<string, number>>
  readonly seed: bigint
  readonly has_nsfw_concepts: readonly boolean[]
  readonly prompt: string
  readonly request_id?: string
}

async function answer(
  engine: ImageEngine,
  input: Omit<TextInput, 'image_size'>,
  picture: Pick<LcmRequest, 'size' | 'start'>,
  context: HandlerContext,
): Promise<Drawing<Output>> {
  const prepared = await prepareLatentConsistency(engine, { modelName: input.model_name, ...picture }, context)
  return draw(engine, input, picture, prepared, context)
}

async function* draw(
  engine: ImageEngine,
  input: Omit<TextInput, 'image_size'>,
  picture: Pick<LcmRequest, 'size' | 'start'>,
  prepared: LcmPreparation,
  context: HandlerContext,
): Drawing<Output> {
  const seed = chooseSeed(input.seed)
  const prompt = input.expand_prompt ? await expanded(engine, input, seed, context) : input.prompt
  const request: LcmRequest = {
    ...picture,
    modelName: input.model_name,
    prompt,
    negativePrompt: input.negative_prompt,
    steps: input.num_inference_steps,
    guidanceScale: input.guidance_scale,
    guidanceRescale: input.guidance_rescale,
    seed,
    numImages: input.num_images,
    checkSafety: input.enable_safety_checks ?? input.enable_safety_checker,
    safetyCheckerVersion: input.safety_checker_version,
    format: { format: input.format, syncMode: input.sync_mode },
  }
  const echo = { prompt, ...(input.request_id !== '' && { request_id: input.request_id }) }
  const run = drawLatentConsistency(engine, request, prepared, context)
  const partial = (picture: OutputPicture) => {
    return { images: [picture], timings: {}, seed, has_nsfw_concepts: [false], ...echo }
  }
  const { images, inferenceSeconds, nsfwFlags } = yield* inShapeOf(run, partial)
  return {
    images,
    timings: { inference: inferenceSeconds },
    seed,
    has_nsfw_concepts: nsfwFlags,
    ...echo,
  }
}

/** By the expander of the model that will draw. */
async function expanded(
  engine: ImageEngine,
  { prompt, model_name }: Pick<TextInput, 'prompt' | 'model_name'>,
  seed: bigint,
  context: HandlerContext,
): Promise<string> {
  // What is wrong with a model that is here is said when it is opened.
  const local = await engine.store.findLocal(model_name, { kind: 'base' }).catch(() => undefined)
  return engine.promptExpansion.expand(prompt, seed, local === undefined && !engine.store.fetchesBases, context)
}
