import {
  type Adapters,
  binarize,
  type DenoiseStep,
  type GeneratedImage,
  type GenerationParameters,
  imageToImage,
  inpaint,
  type RgbImage,
  rgbToGrey,
  type StableDiffusion,
  textToImage,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { LCM_LORAS, type LcmModelName } from '../endpoints/shared/lcm-models.ts'
import { MODEL } from '../protocol/headers.ts'
import { type LoraRequest, NO_ADAPTERS, type StartRequest } from './adapted-request.ts'
import { type AdaptedModel, findAdapters, openAdapters } from './adapters.ts'
import { chooseCheckpoint, type LocalCheckpoint, latentConsistencyChoice } from './checkpoint-choice.ts'
import { toWireError } from './engine-errors.ts'
import { fitStart } from './fit-picture.ts'
import type { ImageEngine } from './image-engine.ts'
import { atSize, type OutputPicture, outputPicture, type PictureFormat } from './picture-output.ts'
import { drawableSize, type PictureSize } from './picture-size.ts'
import { runSteps } from './run-steps.ts'
import { openSafetyScreen, type SafetyRequest } from './safety.ts'

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
  readonly start?: StartRequest
  /** Whether every pixel outside of the start's mask is the input's own. */
  readonly keepsUnmasked?: boolean
  /** What is applied beside the LCM-LoRA. */
  readonly loras?: readonly LoraRequest[]
  readonly format: PictureFormat
}

export interface LcmResult {
  readonly images: readonly OutputPicture[]
  /** One per picture. */
  readonly nsfwFlags: readonly boolean[]
  readonly inferenceSeconds: number
}

/** Input fields by the engine's name for what they set. */
const FIELDS = { width: 'image_size', height: 'image_size', image: 'image_url', mask: 'mask_url' }

/** What such a request draws with, ready before it takes the device. */
export interface LcmPreparation {
  readonly checkpoint: LocalCheckpoint
  readonly model: StableDiffusion
  /** The request's start at the size that is drawn. */
  readonly start: StartRequest | undefined
}

/**
 * The model that such a request draws with, loaded, and its LoRAs, fetched where that is allowed, and what it starts from.
 * @throws WireError 422
 */
export async function prepareLatentConsistency(
  engine: ImageEngine,
  { modelName, size, loras = [], start }: Pick<LcmRequest, 'modelName' | 'size' | 'loras' | 'start'>,
  context: HandlerContext,
): Promise<LcmPreparation> {
  const checkpoint = await chooseCheckpoint(engine, modelName, LCM_LORAS[modelName], size, context)
  context.setHeader(MODEL, checkpoint.label)
  await findAdapters(engine, { loras }, context)
  const model = await engine.model(latentConsistencyChoice(checkpoint), context.log).catch((error) => {
    throw toWireError(error)
  })
  return { checkpoint, model, start: start && (await fitStart(engine, start, size, model.vae.factor)) }
}

/** Draws with a few latent consistency steps: yields intermediate pictures where the caller wants them. */
export async function* drawLatentConsistency(
  engine: ImageEngine,
  request: LcmRequest,
  prepared: LcmPreparation,
  context: HandlerContext,
): AsyncGenerator<OutputPicture, LcmResult> {
  const { checkpoint, start } = prepared
  const { model, adapters } = await openModel(engine, prepared, request, context)
  const safety = await openSafetyScreen(engine.safetyCheckers, request, checkpoint.folder, context)
  const startedAt = performance.now()
  const run = startRun(model, request, start, adapters, context)
  const options = { numImages: request.numImages, fields: FIELDS, mayShow: safety.mayShow }
  const drawn = yield* runSteps(model, run, options, context)
  const inferenceSeconds = (performance.now() - startedAt) / 1000
  const sized = drawn.map(({ image }) => atSize(image, request.size))
  const { pictures, nsfwFlags } = await safety.screen(request.keepsUnmasked ? sized.map(keepUnmasked(request)) : sized)
  const images = await Promise.all(pictures.map((image) => outputPicture(image, request, context)))
  return { images, nsfwFlags, inferenceSeconds }
}

/** The checkpoint with its LCM-LoRA merged in, and the request's own LoRAs beside it. */
async function openModel(
  engine: ImageEngine,
  { checkpoint, model }: LcmPreparation,
  { loras = [], size }: LcmRequest,
  context: HandlerContext,
): Promise<AdaptedModel> {
  const choice = latentConsistencyChoice(checkpoint)
  if (loras.length === 0) return { model, adapters: {} }
  const base = { model, choice, standIn: checkpoint.standIn }
  return openAdapters(engine, base, { ...NO_ADAPTERS, loras }, drawableSize(size, model.vae.factor), context)
}

function startRun(
  model: StableDiffusion,
  request: LcmRequest,
  start: StartRequest | undefined,
  adapters: Adapters,
  { signal, inlineBytes, handOnDevice }: HandlerContext,
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
    adapters,
    // A realtime frame is looked at until the next one comes.
    forPreview: inlineBytes,
    onDenoised: handOnDevice,
  }
  const { width, height } = drawableSize(request.size, model.vae.factor)
  if (start === undefined) return textToImage(model, { ...parameters, width, height }, signal)
  const { image, strength, mask } = start
  if (mask === undefined) return imageToImage(model, { ...parameters, image, strength }, signal)
  return inpaint(model, { ...parameters, image, mask, strength }, signal)
}

/** What the mask leaves out is taken from the input's picture, pixel by pixel: the VAE changes what it encodes and decodes. */
function keepUnmasked({ start, size }: LcmRequest): (drawn: RgbImage) => RgbImage {
  if (start?.mask === undefined) return (drawn) => drawn
  const original = atSize(start.image, size)
  const mask = binarize(rgbToGrey(atSize(start.mask, size)))
  const isKept = (i: number) => mask.data[Math.floor(i / 3)] === 0
  return (drawn) => ({
    ...drawn,
    data: drawn.data.map((value, i) => (isKept(i) ? (original.data[i] as number) : value)),
  })
}
