import type { z } from 'zod'
import type { StartRequest } from '../../../drawing/adapted-request.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { inputPicture, maskedPicture, sizeOfInput } from '../../../drawing/input-pictures.ts'
import {
  drawLatentConsistency,
  type LcmRequest,
  type LcmResult,
  prepareLatentConsistency,
} from '../../../drawing/latent-consistency.ts'
import type { OutputPicture } from '../../../drawing/picture-output.ts'
import { inShapeOf } from '../../../drawing/run-steps.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { requireSteps } from '../../../drawing/strength.ts'
import { readLatentConsistencyAhead } from '../../../drawing/weights-ahead.ts'
import { fieldError } from '../../../errors/errors.ts'
import { type Drawing, type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { resolveImageSize } from '../../shared/image-size.ts'
import { LCM_BASE_MODELS } from '../../shared/lcm-models.ts'
import { lcm, lcmSd15ImageToImage } from './schema.ts'

type LcmInput = z.output<typeof lcm.input>
type Sd15Input = z.output<typeof lcmSd15ImageToImage.input>

const [SDXL, SD15] = LCM_BASE_MODELS
const MODEL_NAMES = { sdxl: SDXL, 'sdv1-5': SD15 } as const

/** Latent consistency pictures from a prompt, a picture, or a part of one. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  return [
    runnable(
      lcmSd15ImageToImage,
      async (input, context) => {
        requireSteps(input.num_inference_steps, input.strength)
        const image = await inputPicture(engine, input, context)
        const picture = { size: sizeOfInput(image), start: { image, strength: input.strength } }
        return answer(engine, input, { modelName: SD15, ...picture }, context)
      },
      (_, signal) => readLatentConsistencyAhead(engine, { modelName: SD15 }, signal),
    ),
    runnable(
      lcm,
      async (input, context) => {
        const start = await startOf(engine, input, context)
        const picture = {
          ...modelOf(input),
          size: start && !input.image_size ? sizeOfInput(start.image) : resolveImageSize(input.image_size ?? 'square'),
          ...(start && { start }),
          keepsUnmasked: input.inpaint_mask_only,
        }
        return answer(engine, input, picture, context)
      },
      (input, signal) => readLatentConsistencyAhead(engine, modelOf(input), signal),
    ),
  ]
}

function modelOf({
  model,
  lora_url: path,
  lora_scale: scale,
}: LcmInput): Required<Pick<LcmRequest, 'modelName' | 'loras'>> {
  return { modelName: MODEL_NAMES[model], loras: path ? [{ path, scale }] : [] }
}

async function startOf(
  engine: ImageEngine,
  input: LcmInput,
  context: HandlerContext,
): Promise<StartRequest | undefined> {
  if (input.image_url || input.image_bytes) {
    requireSteps(input.num_inference_steps, input.strength)
    const picture = { ...input, image_url: input.image_url ?? undefined }
    const read = input.mask_url
      ? await maskedPicture(engine, { ...picture, mask_url: input.mask_url }, context)
      : { image: await inputPicture(engine, picture, context) }
    return { ...read, strength: input.strength }
  }
  if (input.mask_url) throw fieldError('image_url', 'value_error', 'the picture that the mask belongs to is missing')
  return undefined
}

/** Key order as the live service sends it. */
interface Output {
  readonly images: readonly OutputPicture[]
  readonly timings: Readonly<Record<string, number>>
  readonly seed: bigint
  readonly num_inference_steps: number
  readonly request_id: string
  readonly nsfw_content_detected: readonly boolean[]
}

async function answer(
  engine: ImageEngine,
  input: Sd15Input | LcmInput,
  picture: Pick<LcmRequest, 'modelName' | 'size' | 'start' | 'keepsUnmasked' | 'loras'>,
  context: HandlerContext,
): Promise<Drawing<Output>> {
  const request: LcmRequest = {
    ...picture,
    prompt: input.prompt,
    negativePrompt: input.negative_prompt,
    steps: input.num_inference_steps,
    guidanceScale: input.guidance_scale,
    guidanceRescale: 0,
    seed: chooseSeed(input.seed),
    numImages: input.num_images,
    checkSafety: input.enable_safety_checker ?? input.enable_safety_checks,
    safetyCheckerVersion: 'v1',
    format: { format: 'jpeg', syncMode: input.sync_mode },
  }
  const prepared = await prepareLatentConsistency(engine, request, context)
  return draw(drawLatentConsistency(engine, request, prepared, context), input, request)
}

async function* draw(
  run: AsyncGenerator<OutputPicture, LcmResult>,
  input: Sd15Input | LcmInput,
  { seed }: LcmRequest,
): Drawing<Output> {
  const echo = { num_inference_steps: input.num_inference_steps, request_id: input.request_id }
  const partial = (picture: OutputPicture) => {
    return { images: [picture], timings: {}, seed, ...echo, nsfw_content_detected: [false] }
  }
  const { images, nsfwFlags, inferenceSeconds } = yield* inShapeOf(run, partial)
  return { images, timings: { inference: inferenceSeconds }, seed, ...echo, nsfw_content_detected: nsfwFlags }
}
