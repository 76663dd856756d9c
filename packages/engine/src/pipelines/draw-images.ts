import type { UNetAdapter } from '../adapters/unet-adapter.ts'
import { tensorToRgb } from '../image/picture-tensor.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { TorchGenerator } from '../random/torch-generator.ts'
import type { Schedule, ScheduleOptions, Scheduler } from '../schedulers/scheduler.ts'
import { defined } from '../tensor/defined.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import { type DenoiseInput, denoise, type Guidance } from './denoise.ts'
import { ParameterError } from './parameter-error.ts'
import { encodePlainPrompts, requireClipSkip } from './prompt-embeddings.ts'
import { encodeWeightedPrompts } from './prompt-weighting.ts'
import type { SchedulerChoice, StableDiffusion } from './stable-diffusion.ts'
import type { PromptConditioning, TextAdapters } from './text-encoders.ts'
import { type Tiling, tileWindows } from './tiling.ts'

/** Controls that every kind of generation shares. */
export interface GenerationParameters {
  readonly prompt: string
  /** Absent is not the same as empty: SDXL may take zeros for an absent one. Unused when guidance is off. */
  readonly negativePrompt?: string
  readonly scheduler?: SchedulerChoice
  /** A number of steps, or the timesteps or sigmas themselves where the scheduler takes them. */
  readonly schedule: Schedule
  /** Guidance is off at 1 and below. */
  readonly guidanceScale: number
  /** φ of guidance_rescale, 0…1. Default 0. */
  readonly guidanceRescale?: number
  /** Stochasticity of DDIM and TCD, 0…1. Default 0. */
  readonly eta?: number
  /** Hidden layers of the text encoder to leave out at the end. Default 0. */
  readonly clipSkip?: number
  /**
   * Reads prompts in AUTOMATIC1111's attention grammar, `(word:1.3)`, `[word]`, `BREAK`, and draws all of long ones. Without, brackets are
   * text and what is beyond the text encoder's length is left out. Default false.
   */
  readonly promptWeighting?: boolean
  /** Told of things a user should know that are no errors: the end of a prompt that was left out. */
  readonly onWarning?: (message: string) => void
  /** Image i draws from seed + i. */
  readonly seed: bigint
  /** Default 1. */
  readonly numImages?: number
  readonly adapters?: Adapters
  /** Decodes with the checkpoint's preview decoder where it has one: for pictures that are looked at once. Default false. */
  readonly forPreview?: boolean
  /**
   * Awaited before the last picture goes through the preview decoder: from there on another may be denoised. Never called where the
   * autoencoder itself decodes.
   */
  readonly onDenoised?: () => Promise<void>
  /** Draws large pictures with a UNet that sees a tile at a time. */
  readonly tiling?: Tiling
}

/** What a request applies to a model, in order; the model itself stays as it is. */
export interface Adapters {
  readonly unet?: readonly UNetAdapter[]
  readonly textEncoders?: TextAdapters
}

/** One step of one picture. */
export interface DenoiseStep {
  readonly imageIndex: number
  readonly step: number
  readonly steps: number
  readonly latents: FloatTensor
  readonly predOriginalSample: FloatTensor
}

export interface GeneratedImage {
  readonly image: RgbImage
  /** Final, scaled latents, [1, C, h, w]. */
  readonly latents: FloatTensor
  readonly seed: bigint
}

/** Where a picture's denoising starts, and what belongs to that start. */
export interface Start extends Pick<DenoiseInput, 'latents' | 'startIndex' | 'afterStep'> {
  /** Applied to the UNet beside the request's own. */
  readonly adapters?: readonly UNetAdapter[]
}

/**
 * @param parameter to name in the error
 * @throws ParameterError for sides that are no multiples of the VAE's factor
 */
export function requireDrawableSize(
  parameter: string,
  { width, height }: { readonly width: number; readonly height: number },
  factor: number,
): void {
  if (width % factor === 0 && height % factor === 0) return
  throw new ParameterError(
    parameter,
    `sides must be multiples of ${factor} for this checkpoint, got ${width}×${height}`,
  )
}

interface DrawOptions {
  readonly width: number
  readonly height: number
  readonly signal: AbortSignal | undefined
  readonly scheduleOptions?: ScheduleOptions
}

/**
 * The part that every kind of generation shares: conditioning once, then for each picture its own generator and
 * scheduler, the loop, and the decoder.
 * @param start makes the first latents; draws from the picture's generator
 */
export async function* drawImages(
  model: StableDiffusion,
  parameters: GenerationParameters,
  { width, height, signal, scheduleOptions }: DrawOptions,
  start: (scheduler: Scheduler, drawNoise: (shape: readonly number[]) => FloatTensor) => Promise<Start>,
): AsyncGenerator<DenoiseStep, GeneratedImage[]> {
  // The decoder needs the most memory and comes last: to hear of it then would cost every step.
  model.vae.requireDecodable({ width, height })
  const { factor } = model.vae
  const decoder = (parameters.forPreview && model.previewDecoder) || model.vae
  const windows = tileWindows({ height: height / factor, width: width / factor }, parameters.tiling, factor)
  const guidance = await encodeGuidance(model, parameters)
  const images: GeneratedImage[] = []
  for (let imageIndex = 0; imageIndex < (parameters.numImages ?? 1); imageIndex++) {
    const seed = BigInt.asUintN(64, parameters.seed + BigInt(imageIndex))
    const generator = new TorchGenerator(seed)
    const scheduler = model.createScheduler(parameters.scheduler ?? {})
    scheduler.setTimesteps(parameters.schedule, scheduleOptions)
    const first = await start(scheduler, (shape) => generator.randn(shape))
    const loop = denoise(model, {
      ...first,
      scheduler,
      guidance,
      width,
      height,
      windows,
      eta: parameters.eta ?? 0,
      adapters: [...(parameters.adapters?.unet ?? []), ...(first.adapters ?? [])],
      drawNoise: () => generator.randn(first.latents.shape),
      ...(signal && { signal }),
    })
    let next = await loop.next()
    for (; !next.done; next = await loop.next()) yield { imageIndex, ...next.value }
    signal?.throwIfAborted()
    const isLast = imageIndex + 1 === (parameters.numImages ?? 1)
    if (isLast && decoder !== model.vae) await parameters.onDenoised?.()
    images.push({
      image: defined(tensorToRgb(await decoder.decode(next.value, signal))[0]),
      latents: next.value,
      seed,
    })
  }
  return images
}

/** Classifier-free guidance is on above 1, unless the UNet takes the scale as an embedding. */
async function encodeGuidance(model: StableDiffusion, parameters: GenerationParameters): Promise<Guidance> {
  const { prompt, negativePrompt, guidanceScale: scale, guidanceRescale: rescale = 0, clipSkip = 0 } = parameters
  const { onWarning } = parameters
  const adapters = parameters.adapters?.textEncoders
  const guided = scale > 1 && model.unet.timeCondProjDim === undefined
  const zeros = guided && negativePrompt === undefined && model.zerosForAbsentPrompt
  const prompts = { prompt, ...(guided && !zeros && { negativePrompt: negativePrompt ?? '' }) }
  requireClipSkip(model.textEncoders, parameters.clipSkip ?? 0)
  const encode = parameters.promptWeighting ? encodeWeightedPrompts : encodePlainPrompts
  const { positive, negative } = await encode(model.textEncoders, prompts, {
    clipSkip,
    ...(adapters && { adapters }),
    ...(onWarning && { onWarning }),
  })
  const unconditional = zeros ? zerosLike(positive) : negative
  return { positive, ...(unconditional && { negative: unconditional }), scale, rescale }
}

function zerosLike({ embeds, pooledEmbeds }: PromptConditioning): PromptConditioning {
  return { embeds: float32(embeds.shape), ...(pooledEmbeds && { pooledEmbeds: float32(pooledEmbeds.shape) }) }
}
