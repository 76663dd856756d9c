import {
  type Adapters,
  type DenoiseStep,
  type GeneratedImage,
  type GenerationParameters,
  imageToImage,
  inpaint,
  type StableDiffusion,
  textToImage,
} from '@darkroom/engine'
import type { HandlerContext, StoredFile } from '../endpoints/endpoint.ts'
import type { AdaptedRequest } from './adapted-request.ts'
import { openAdapters } from './adapters.ts'
import type { BaseModel } from './base-model.ts'
import { LatentsRecorder } from './debug-latents.ts'
import { fitStart } from './fit-picture.ts'
import type { ImageEngine } from './image-engine.ts'
import { atSize, type FilePicture, filePicture, type OutputPicture } from './picture-output.ts'
import { drawableSize, type PictureSize } from './picture-size.ts'
import { runSteps } from './run-steps.ts'
import { openSafetyScreen } from './safety.ts'

export interface AdaptedResult {
  readonly images: readonly FilePicture[]
  readonly nsfwFlags: readonly boolean[]
  readonly debugLatents?: StoredFile
  readonly debugPerPassLatents?: StoredFile
}

/** Input fields by the engine's name for what they set. */
const FIELDS = {
  width: 'image_size',
  height: 'image_size',
  image: 'image_url',
  mask: 'mask_url',
  model: 'model_name',
  strength: 'noise_strength',
  numInferenceSteps: 'num_inference_steps',
}

/**
 * Draws with a base model and adapters of the caller's choice: yields intermediate pictures where the caller wants them. The weights were
 * found before (`findAdapters`).
 */
export async function* drawAdapted(
  engine: ImageEngine,
  request: AdaptedRequest,
  base: BaseModel,
  context: HandlerContext,
): AsyncGenerator<OutputPicture, AdaptedResult> {
  const size = drawableSize(request.size, base.model.vae.factor)
  const { model, adapters } = await openAdapters(engine, base, request.adapters, size, context)
  const safety = await openSafetyScreen(engine.safetyCheckers, request, model.folder, context)
  const recorder = new LatentsRecorder()
  const start = request.start && (await fitStart(engine, request.start, request.size, base.model.vae.factor))
  const run = recording(startRun(model, { ...request, ...(start && { start }) }, adapters, size, context), recorder)
  const options = { numImages: request.generation.numImages ?? 1, fields: FIELDS, mayShow: safety.mayShow }
  const drawn = yield* runSteps(model, run, options, context)
  const { pictures, nsfwFlags } = await safety.screen(drawn.map(({ image }) => atSize(image, request.size)))
  const images = await Promise.all(pictures.map((image) => filePicture(image, request, context)))
  return {
    images,
    nsfwFlags,
    ...(request.debug?.final && { debugLatents: await recorder.saveFinal(context) }),
    ...(request.debug?.passes && { debugPerPassLatents: await recorder.saveAll(context) }),
  }
}

function startRun(
  model: StableDiffusion,
  request: AdaptedRequest,
  adapters: Adapters,
  { width, height }: PictureSize,
  { signal, log }: HandlerContext,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  const onWarning = (message: string) => log(message, 'WARN')
  const parameters: GenerationParameters = { ...request.generation, adapters, onWarning }
  if (request.start === undefined) return textToImage(model, { ...parameters, width, height }, signal)
  const { image, strength, mask } = request.start
  if (mask === undefined) return imageToImage(model, { ...parameters, image, strength }, signal)
  return inpaint(model, { ...parameters, image, mask, strength }, signal)
}

async function* recording(
  run: AsyncGenerator<DenoiseStep, GeneratedImage[]>,
  recorder: LatentsRecorder,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  for (;;) {
    const next = await run.next()
    if (next.done) return next.value
    recorder.add(next.value.imageIndex, next.value.latents)
    yield next.value
  }
}
