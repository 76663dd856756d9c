import {
  type DenoiseStep,
  type GeneratedImage,
  type GenerationParameters,
  imageToImage,
  type RgbImage,
  resizeRgb,
  type StableDiffusion,
  textToImage,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import type { LcmModelName } from '../endpoints/shared/latent-consistency.ts'
import { MODEL } from '../protocol/headers.ts'
import { chooseCheckpoint } from './checkpoint-choice.ts'
import { toWireError } from './engine-errors.ts'
import type { ImageEngine } from './image-engine.ts'
import { atSize, type OutputPicture, outputPicture, type PictureFormat } from './picture-output.ts'
import { drawableSize, type PictureSize } from './picture-size.ts'
import { runSteps } from './run-steps.ts'
import { openSafetyScreen, type SafetyRequest } from './safety.ts'

/** The LCM-LoRA of each base model's family. */
const LCM_LORAS: Readonly<Record<LcmModelName, string>> = {
  'stabilityai/stable-diffusion-xl-base-1.0': 'latent-consistency/lcm-lora-sdxl',
  'runwayml/stable-diffusion-v1-5': 'latent-consistency/lcm-lora-sdv1-5',
}

/** What the LCM endpoints have in common, by one name each. */
export interface LcmRequest extends SafetyRequest {
  readonly modelName: LcmModelName
  readonly prompt: string
  readonly negativePrompt: string
  readonly steps: number
  readonly guidanceScale: number
  readonly guidanceRescale: number
  readonly seed: bigint
  readonly numImages: number
  /** Size of the answer's pictures. */
  readonly size: PictureSize
  /** The picture to start from, of any size, and how far to move away from it. */
  readonly start?: { readonly image: RgbImage; readonly strength: number }
  readonly format: PictureFormat
}

export interface LcmResult {
  readonly images: readonly OutputPicture[]
  /** One per picture. */
  readonly nsfwFlags: readonly boolean[]
  readonly inferenceSeconds: number
}

/** Input fields by the engine's name for what they set. */
const FIELDS = { width: 'image_size', height: 'image_size', image: 'image_url' }

/** Draws with a few latent consistency steps: yields intermediate pictures where the caller wants them. */
export async function* drawLatentConsistency(
  engine: ImageEngine,
  request: LcmRequest,
  context: HandlerContext,
): AsyncGenerator<OutputPicture, LcmResult> {
  const lcmLora = LCM_LORAS[request.modelName]
  const checkpoint = await chooseCheckpoint(engine, request.modelName, lcmLora, request.size, context)
  context.setHeader(MODEL, checkpoint.label)
  const model = await engine.latentConsistencyModel(checkpoint, context.log).catch((error) => {
    throw toWireError(error)
  })
  const safety = await openSafetyScreen(engine.safetyCheckers, request, checkpoint.folder, context)
  const startedAt = performance.now()
  const run = startRun(model, request, context.signal)
  const options = { numImages: request.numImages, fields: FIELDS, mayShow: safety.mayShow }
  const drawn = yield* runSteps(model, run, options, context)
  const inferenceSeconds = (performance.now() - startedAt) / 1000
  const { pictures, nsfwFlags } = await safety.screen(drawn.map(({ image }) => atSize(image, request.size)))
  const images = await Promise.all(pictures.map((image) => outputPicture(image, request, context)))
  return { images, nsfwFlags, inferenceSeconds }
}

function startRun(
  model: StableDiffusion,
  request: LcmRequest,
  signal: AbortSignal,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  const parameters: GenerationParameters = {
    prompt: request.prompt,
    negativePrompt: request.negativePrompt,
    scheduler: { name: 'LCM' },
    schedule: { numInferenceSteps: request.steps },
    guidanceScale: request.guidanceScale,
    guidanceRescale: request.guidanceRescale,
    seed: request.seed,
    numImages: request.numImages,
  }
  const { width, height } = drawableSize(request.size, model.vae.factor)
  if (request.start === undefined) return textToImage(model, { ...parameters, width, height }, signal)
  const image = resizeRgb(request.start.image, width, height, 'lanczos')
  return imageToImage(model, { ...parameters, image, strength: request.start.strength }, signal)
}
