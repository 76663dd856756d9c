import type { z } from 'zod'
import { drawAdapted } from '../../../drawing/adapted-drawing.ts'
import type {
  AdaptedRequest,
  AdaptersRequest,
  BaseModelRequest,
  ControlNetRequest,
  ImageEncoderRequest,
  ImagePromptReference,
  ImagePromptRequest,
} from '../../../drawing/adapted-request.ts'
import { findAdapters } from '../../../drawing/adapters.ts'
import { type BaseModel, findBase, loadBase } from '../../../drawing/base-model.ts'
import { readControlNetConfig } from '../../../drawing/controlnet-weights.ts'
import { fitAdapters, fitStart } from '../../../drawing/fit-picture.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { type InputPictures, readPictures, sizeOfInput, type WantedPicture } from '../../../drawing/input-pictures.ts'
import type { FilePicture, OutputPicture } from '../../../drawing/picture-output.ts'
import { drawableSize, type PictureSize } from '../../../drawing/picture-size.ts'
import { inShapeOf } from '../../../drawing/run-steps.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { requireStepsOfAnyModel } from '../../../drawing/strength.ts'
import { readAdaptedAhead } from '../../../drawing/weights-ahead.ts'
import { fieldError } from '../../../errors/errors.ts'
import { type Drawing, type HandlerContext, type RunnableEndpoint, runnable, type StoredFile } from '../../endpoint.ts'
import { resolveImageSize } from '../../shared/image-size.ts'
import { lora, loraImageToImage, loraInpaint } from './schema.ts'

/** What the three endpoints have in common. */
type CommonInput = Omit<z.output<typeof lora.input>, 'image_size'>

/** Text to image, and the same from a picture or a part of one. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  const readAhead = (input: CommonInput, signal: AbortSignal) => {
    const adapters = {
      loras: input.loras,
      controlNets: input.controlnets.map(({ path, variant }) => ({ path, variant: variant ?? undefined })),
      imagePrompts: input.ip_adapter.map(imagePromptReference),
      imageEncoder: imageEncoderOf(input),
    }
    return readAdaptedAhead(engine, { model: modelOf(input), ...adapters }, signal)
  }
  return [
    runnable(
      lora,
      ({ image_size, ...input }, context) => {
        const size = multiplesOf8(resolveImageSize(image_size))
        return prepare(engine, input, { pictures: {}, use: () => ({ size }) }, context)
      },
      readAhead,
    ),
    runnable(
      loraImageToImage,
      async (input, context) => {
        const strength = strengthOf(input)
        const use = (pictures: InputPictures) => {
          const image = pictures.at('image_url')
          return { size: sizeOfInput(image), start: { image, strength } }
        }
        return prepare(engine, input, { pictures: { image_url: input.image_url }, use }, context)
      },
      readAhead,
    ),
    runnable(
      loraInpaint,
      async (input, context) => {
        const strength = strengthOf(input)
        const use = (pictures: InputPictures) => {
          const image = pictures.at('image_url')
          return { size: sizeOfInput(image), start: { image, mask: pictures.at('mask_url'), strength } }
        }
        const pictures = { image_url: input.image_url, mask_url: input.mask_url }
        return prepare(engine, input, { pictures, use }, context)
      },
      readAhead,
    ),
  ]
}

/** @throws WireError 422 where it leaves no step to run */
function strengthOf(
  input: Pick<z.output<typeof loraImageToImage.input>, 'strength' | 'noise_strength'> & CommonInput,
): number {
  const strength = input.strength ?? input.noise_strength
  const { schedule } = schedulingOf(input)
  const steps = 'numInferenceSteps' in schedule ? schedule.numInferenceSteps : undefined
  if (steps !== undefined) requireStepsOfAnyModel(steps, strength, 'noise_strength')
  return strength
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

/** What differs between the endpoints. */
interface Start {
  /** Pictures beside those of the adapters, by field. */
  readonly pictures: Readonly<Record<string, string>>
  /** What is drawn, and from what. */
  readonly use: (pictures: InputPictures) => Pick<AdaptedRequest, 'size' | 'start'>
}

function modelOf(input: CommonInput): BaseModelRequest {
  return {
    name: input.model_name,
    unetName: input.unet_name ?? undefined,
    variant: input.variant ?? undefined,
    icLight: input.ic_light_model_url ?? undefined,
  }
}

async function prepare(
  engine: ImageEngine,
  input: CommonInput,
  start: Start,
  context: HandlerContext,
): Promise<Drawing<Output>> {
  const scheduling = schedulingOf(input)
  const own = Object.entries(start.pictures).map(([name, source]) => ({ field: [name], source }))
  const pictures = await readPictures(engine, [...own, ...adapterPictures(input)], context)
  const request: AdaptedRequest = {
    ...start.use(pictures),
    model: modelOf(input),
    adapters: await adaptersOf(input, pictures, context),
    generation: {
      prompt: input.prompt,
      negativePrompt: input.negative_prompt,
      promptWeighting: input.prompt_weighting,
      clipSkip: input.clip_skip,
      ...scheduling,
      guidanceScale: input.guidance_scale,
      eta: input.eta,
      seed: chooseSeed(input.seed),
      numImages: input.num_images,
      tiling: {
        tileWidth: input.tile_width,
        tileHeight: input.tile_height,
        // The strides have defaults of their own, which a caller who only wants smaller tiles does not think of.
        tileStrideWidth: Math.min(input.tile_stride_width, input.tile_width),
        tileStrideHeight: Math.min(input.tile_stride_height, input.tile_height),
      },
    },
    checkSafety: input.enable_safety_checker,
    safetyCheckerVersion: 'v1',
    format: { format: input.image_format, syncMode: input.sync_mode },
    debug: { final: input.debug_latents, passes: input.debug_per_pass_latents },
  }
  const base = await findBase(engine, request.model, request.size, context)
  await findAdapters(engine, request.adapters, context)
  const loaded = await loadBase(engine, base, context)
  return draw(engine, await fitted(engine, request, loaded.model.vae.factor), loaded, context)
}

/** What is drawn from at the size that is drawn, so that a large picture does not keep the device waiting. */
async function fitted(engine: ImageEngine, request: AdaptedRequest, vaeFactor: number): Promise<AdaptedRequest> {
  const { start, adapters, size } = request
  return {
    ...request,
    adapters: await fitAdapters(engine, adapters, drawableSize(size, vaeFactor)),
    ...(start && { start: await fitStart(engine, start, size, vaeFactor) }),
  }
}

async function* draw(
  engine: ImageEngine,
  request: AdaptedRequest,
  base: BaseModel,
  context: HandlerContext,
): Drawing<Output> {
  const { seed } = request.generation
  const run = drawAdapted(engine, request, base, context)
  const partial = (picture: OutputPicture) => ({ images: [picture], seed, has_nsfw_concepts: [false] })
  const { images, nsfwFlags, debugLatents, debugPerPassLatents } = yield* inShapeOf(run, partial)
  return {
    images,
    seed,
    has_nsfw_concepts: nsfwFlags,
    ...(debugLatents && { debug_latents: fileOutput(debugLatents) }),
    ...(debugPerPassLatents && { debug_per_pass_latents: fileOutput(debugPerPassLatents) }),
  }
}

function schedulingOf(input: CommonInput): Pick<AdaptedRequest['generation'], 'scheduler' | 'schedule'> {
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

/**
 * Every picture that the adapters name.
 * @throws WireError 422 where one is missing
 */
function adapterPictures(input: CommonInput): WantedPicture[] {
  const wanted: WantedPicture[] = []
  const want = (source: string | null | undefined, ...field: (string | number)[]) => {
    if (source) wanted.push({ field, source })
  }
  for (const [i, control] of input.controlnets.entries()) {
    wanted.push({
      field: ['controlnets', i, 'image_url'],
      source: control.image_url ?? control.control_image_url ?? '',
    })
    want(control.mask_url ?? control.mask_image_url, 'controlnets', i, 'mask_url')
  }
  for (const [i, adapter] of input.ip_adapter.entries()) {
    for (const { field, source } of promptUrls(adapter, i)) wanted.push({ field, source })
    want(adapter.ip_adapter_mask_url ?? adapter.mask_image_url, 'ip_adapter', i, 'ip_adapter_mask_url')
  }
  if (!input.ic_light_model_url) return wanted
  if (!input.ic_light_image_url) {
    throw fieldError('ic_light_image_url', 'value_error', 'the picture that is to be lit is missing')
  }
  want(input.ic_light_image_url, 'ic_light_image_url')
  want(input.ic_light_model_background_image_url, 'ic_light_model_background_image_url')
  return wanted
}

function promptUrls(adapter: CommonInput['ip_adapter'][number], i: number): (WantedPicture & { source: string })[] {
  const field = ['ip_adapter', i, 'ip_adapter_image_url']
  const urls = adapter.ip_adapter_image_url ?? adapter.image_url ?? ''
  return typeof urls === 'string'
    ? [{ field, source: urls }]
    : urls.map((source, k) => ({ field: [...field, k], source }))
}

async function adaptersOf(
  input: CommonInput,
  pictures: InputPictures,
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const background = pictures.find('ic_light_model_background_image_url')
  return {
    loras: input.loras,
    embeddings: input.embeddings,
    controlNets: await Promise.all(input.controlnets.map((control, i) => controlNetOf(control, i, pictures, context))),
    guessMode: input.controlnet_guess_mode,
    imagePrompts: input.ip_adapter.map((adapter, i) => imagePromptOf(adapter, i, pictures)),
    imageEncoder: imageEncoderOf(input),
    light: input.ic_light_model_url
      ? { image: pictures.at('ic_light_image_url'), ...(background && { background }) }
      : undefined,
  }
}

async function controlNetOf(
  control: CommonInput['controlnets'][number],
  i: number,
  pictures: InputPictures,
  context: HandlerContext,
): Promise<ControlNetRequest> {
  const { config_url: configUrl } = control
  return {
    path: control.path,
    config: configUrl ? await readControlNetConfig(configUrl, ['controlnets', i, 'config_url'], context) : undefined,
    variant: control.variant ?? undefined,
    image: pictures.at('controlnets', i, 'image_url'),
    mask: pictures.find('controlnets', i, 'mask_url'),
    scale: control.conditioning_scale,
    start: control.start_percentage,
    end: control.end_percentage,
    imagePromptIndex: control.ip_adapter_index ?? undefined,
  }
}

function imagePromptReference(adapter: CommonInput['ip_adapter'][number]): ImagePromptReference {
  return {
    path: adapter.path,
    subfolder: adapter.model_subfolder ?? adapter.subfolder ?? undefined,
    weightName: adapter.weight_name ?? undefined,
    faceNetworks: adapter.insight_face_model_path || undefined,
  }
}

function imageEncoderOf(input: CommonInput): ImageEncoderRequest | undefined {
  const { image_encoder_path: path } = input
  if (!path) return undefined
  return { path, subfolder: input.image_encoder_subfolder ?? undefined, weightName: input.image_encoder_weight_name }
}

function imagePromptOf(
  adapter: CommonInput['ip_adapter'][number],
  i: number,
  pictures: InputPictures,
): ImagePromptRequest {
  return {
    ...imagePromptReference(adapter),
    images: promptUrls(adapter, i).map(({ field }) => pictures.at(...field)),
    mask: pictures.find('ip_adapter', i, 'ip_adapter_mask_url'),
    scale: adapter.scale,
    scaleByBlock: adapter.scale_json ? plainNumbers(adapter.scale_json) : undefined,
    unconditionalNoise: adapter.unconditional_noising_factor ?? undefined,
    projectionShortcut: adapter.image_projection_shortcut,
  }
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
