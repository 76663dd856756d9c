import type { RgbImage } from '@darkroom/engine'
import type { z } from 'zod'
import { drawAdapted } from '../../../drawing/adapted-drawing.ts'
import type {
  AdaptedRequest,
  AdaptersRequest,
  ControlNetRequest,
  ImagePromptRequest,
  StartRequest,
} from '../../../drawing/adapted-request.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { pictureFrom, sizeOfInput } from '../../../drawing/input-picture.ts'
import type { FilePicture, OutputPicture } from '../../../drawing/picture-output.ts'
import type { PictureSize } from '../../../drawing/picture-size.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { fieldError } from '../../../errors/errors.ts'
import { type HandlerContext, type RunnableEndpoint, runnable, type StoredFile } from '../../endpoint.ts'
import { resolveImageSize } from '../../shared/image-size.ts'
import { lora, loraImageToImage, loraInpaint } from './schema.ts'

/** What the three endpoints have in common. */
type CommonInput = Omit<z.output<typeof lora.input>, 'image_size'>

/** Text to image, and the same from a picture or a part of one. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  return [
    runnable(lora, ({ image_size, ...input }, context) =>
      answer(engine, input, { size: multiplesOf8(resolveImageSize(image_size)) }, context),
    ),
    runnable(loraImageToImage, async function* (input, context) {
      const image = await pictureFrom(input.image_url, ['image_url'], context)
      const start = { image, strength: input.strength ?? input.noise_strength }
      return yield* answer(engine, input, { size: sizeOfInput(image), start }, context)
    }),
    runnable(loraInpaint, async function* (input, context) {
      const image = await pictureFrom(input.image_url, ['image_url'], context)
      const mask = await pictureFrom(input.mask_url, ['mask_url'], context)
      const start = { image, mask, strength: input.strength ?? input.noise_strength }
      return yield* answer(engine, input, { size: sizeOfInput(image), start }, context)
    }),
  ]
}

function multiplesOf8(size: PictureSize): PictureSize {
  if (size.width % 8 === 0 && size.height % 8 === 0) return size
  throw fieldError(
    'image_size',
    'value_error',
    `width and height must be multiples of 8, got ${size.width}×${size.height}`,
  )
}

/** Key order as the live service sends it. */
interface Output {
  readonly images: readonly (FilePicture | OutputPicture)[]
  readonly seed: bigint
  readonly has_nsfw_concepts: readonly boolean[]
  readonly debug_latents?: FileOutput
  readonly debug_per_pass_latents?: FileOutput
}

async function* answer(
  engine: ImageEngine,
  input: CommonInput,
  picture: { readonly size: PictureSize; readonly start?: StartRequest },
  context: HandlerContext,
): AsyncGenerator<Partial<Output>, Output> {
  const request: AdaptedRequest = {
    ...picture,
    model: {
      name: input.model_name,
      unetName: input.unet_name ?? undefined,
      variant: input.variant ?? undefined,
      icLight: input.ic_light_model_url ?? undefined,
    },
    adapters: await adaptersOf(input, context),
    tiling: {
      tileWidth: input.tile_width,
      tileHeight: input.tile_height,
      tileStrideWidth: input.tile_stride_width,
      tileStrideHeight: input.tile_stride_height,
    },
    prompt: input.prompt,
    negativePrompt: input.negative_prompt,
    promptWeighting: input.prompt_weighting,
    clipSkip: input.clip_skip,
    ...schedulingOf(input),
    guidanceScale: input.guidance_scale,
    eta: input.eta,
    seed: chooseSeed(input.seed),
    numImages: input.num_images,
    checkSafety: input.enable_safety_checker,
    safetyCheckerVersion: 'v1',
    format: { format: input.image_format, syncMode: input.sync_mode },
    debug: { final: input.debug_latents, passes: input.debug_per_pass_latents },
  }
  const { seed } = request
  const run = drawAdapted(engine, request, context)
  let next = await run.next()
  for (; !next.done; next = await run.next()) yield { images: [next.value], seed, has_nsfw_concepts: [false] }
  const { images, nsfwFlags, debugLatents, debugPerPassLatents } = next.value
  return {
    images,
    seed,
    has_nsfw_concepts: nsfwFlags,
    ...(debugLatents && { debug_latents: fileOutput(debugLatents) }),
    ...(debugPerPassLatents && { debug_per_pass_latents: fileOutput(debugPerPassLatents) }),
  }
}

function schedulingOf(input: CommonInput): Pick<AdaptedRequest, 'scheduler' | 'schedule'> {
  const { timesteps, sigmas } = input
  if (timesteps.method === 'array' && sigmas.method === 'array') {
    throw fieldError(
      'sigmas',
      'value_error',
      'timesteps and sigmas cannot both be given: set one of them to the method "default"',
    )
  }
  const overrides = {
    ...(input.prediction_type && { prediction_type: input.prediction_type }),
    ...(input.rescale_betas_snr_zero && { rescale_betas_zero_snr: true }),
  }
  return {
    scheduler: { ...(input.scheduler && { name: input.scheduler }), overrides },
    schedule:
      timesteps.method === 'array'
        ? { timesteps: timesteps.array }
        : sigmas.method === 'array'
          ? { sigmas: sigmas.array }
          : { numInferenceSteps: input.num_inference_steps },
  }
}

async function adaptersOf(input: CommonInput, context: HandlerContext): Promise<AdaptersRequest> {
  const { image_encoder_path: encoderPath } = input
  return {
    loras: input.loras,
    embeddings: input.embeddings,
    controlNets: await Promise.all(input.controlnets.map((control, i) => controlNetOf(control, i, context))),
    guessMode: input.controlnet_guess_mode,
    imagePrompts: await Promise.all(input.ip_adapter.map((adapter, i) => imagePromptOf(adapter, i, context))),
    imageEncoder: encoderPath
      ? {
          path: encoderPath,
          subfolder: input.image_encoder_subfolder ?? undefined,
          weightName: input.image_encoder_weight_name,
        }
      : undefined,
    light: await lightOf(input, context),
  }
}

async function controlNetOf(
  control: CommonInput['controlnets'][number],
  i: number,
  context: HandlerContext,
): Promise<ControlNetRequest> {
  return {
    path: control.path,
    configUrl: control.config_url ?? undefined,
    variant: control.variant ?? undefined,
    image: await pictureFrom(
      control.image_url ?? control.control_image_url ?? '',
      ['controlnets', i, 'image_url'],
      context,
    ),
    mask: await optionalPicture(control.mask_url ?? control.mask_image_url, ['controlnets', i, 'mask_url'], context),
    scale: control.conditioning_scale,
    start: control.start_percentage,
    end: control.end_percentage,
    imagePromptIndex: control.ip_adapter_index ?? undefined,
  }
}

async function imagePromptOf(
  adapter: CommonInput['ip_adapter'][number],
  i: number,
  context: HandlerContext,
): Promise<ImagePromptRequest> {
  const field = ['ip_adapter', i, 'ip_adapter_image_url']
  const urls = adapter.ip_adapter_image_url ?? adapter.image_url ?? ''
  const images =
    typeof urls === 'string'
      ? [await pictureFrom(urls, field, context)]
      : await Promise.all(urls.map((url, k) => pictureFrom(url, [...field, k], context)))
  return {
    path: adapter.path,
    subfolder: adapter.model_subfolder ?? adapter.subfolder ?? undefined,
    weightName: adapter.weight_name ?? undefined,
    images,
    mask: await optionalPicture(
      adapter.ip_adapter_mask_url ?? adapter.mask_image_url,
      ['ip_adapter', i, 'ip_adapter_mask_url'],
      context,
    ),
    scale: adapter.scale,
    scaleByBlock: adapter.scale_json ? plainNumbers(adapter.scale_json) : undefined,
    unconditionalNoise: adapter.unconditional_noising_factor ?? undefined,
    faceNetworks: adapter.insight_face_model_path || undefined,
    projectionShortcut: adapter.image_projection_shortcut,
  }
}

async function lightOf(input: CommonInput, context: HandlerContext): Promise<AdaptersRequest['light']> {
  const { ic_light_model_url: model, ic_light_image_url: url, ic_light_model_background_image_url: behind } = input
  if (!model) return undefined
  if (!url) throw fieldError('ic_light_image_url', 'value_error', 'the picture that is to be lit is missing')
  const background = await optionalPicture(behind, ['ic_light_model_background_image_url'], context)
  return { image: await pictureFrom(url, ['ic_light_image_url'], context), ...(background && { background }) }
}

async function optionalPicture(
  url: string | null | undefined,
  field: readonly (string | number)[],
  context: HandlerContext,
): Promise<RgbImage | undefined> {
  return url ? pictureFrom(url, field, context) : undefined
}

/** A JSON value whose integers, which are read as bigint, are numbers. */
function plainNumbers(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return JSON.parse(JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? Number(member) : member)))
}

interface FileOutput {
  readonly url: string
  readonly content_type: string
  readonly file_name: string
  readonly file_size: number
}

function fileOutput({ url, contentType, fileName, fileSize }: StoredFile): FileOutput {
  return { url, content_type: contentType, file_name: fileName, file_size: fileSize }
}
