import { ArchiveError, type RgbImage, readPictureArchive } from '@darkroom/engine'
import type { z } from 'zod'
import { drawAdapted } from '../../../drawing/adapted-drawing.ts'
import { type AdaptedRequest, type AdaptersRequest, NO_ADAPTERS, onePng } from '../../../drawing/adapted-request.ts'
import { findAdapters } from '../../../drawing/adapters.ts'
import { type FoundBaseModel, findBase, loadBase } from '../../../drawing/base-model.ts'
import { toWireError } from '../../../drawing/engine-errors.ts'
import { fitEncoderPictures } from '../../../drawing/fit-picture.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { readPictures, sizeOfInput } from '../../../drawing/input-pictures.ts'
import type { FilePicture, OutputPicture } from '../../../drawing/picture-output.ts'
import { inShapeOf } from '../../../drawing/run-steps.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { noteStandInAdapters, STAND_IN_ADAPTERS } from '../../../drawing/stand-in.ts'
import { readAdaptedAhead } from '../../../drawing/weights-ahead.ts'
import { errorPage, fieldError, type WireError } from '../../../errors/errors.ts'
import { type Drawing, type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { controlNetIpAdapter } from './schema.ts'

type Input = z.output<typeof controlNetIpAdapter.input>

interface Output {
  readonly images: readonly (FilePicture | OutputPicture)[]
  readonly seed: bigint
  readonly timings: Readonly<Record<string, number>>
}

/** The subject of an archive of pictures, in the pose of one picture, starting from another. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  return [
    runnable(
      controlNetIpAdapter,
      async (input, context) => {
        const timings: Record<string, number> = {}
        const timed = timer(timings)
        const archive = await timed('archive', () => archivedPictures(input.ip_archive_url, context))
        const read = await timed('reference', () => readInputs(engine, input, archive, context))
        const base = await timed('model', () => findBaseAndAdapters(engine, read, context))
        return draw(engine, { input, read, base, timings }, context)
      },
      (_, signal) => {
        const recipe = engine.recipes['fal-ai/controlnet-ip-adapter']
        return readAdaptedAhead(engine, { model: { name: recipe.model }, ...referencesOf(recipe) }, signal)
      },
    ),
  ]
}

interface Prepared {
  readonly input: Input
  readonly read: InputsRead
  readonly base: FoundBaseModel
  /** Seconds by phase; more are added. */
  readonly timings: Record<string, number>
}

async function* draw(
  engine: ImageEngine,
  { input, read, base: found, timings }: Prepared,
  context: HandlerContext,
): Drawing<Output> {
  const timed = timer(timings)
  const base = await timed('model', () => loadBase(engine, found, context))
  if (base.standIn) noteStandInAdapters('pose and subject', ['pose', 'ipAdapter'], context)
  const adapters = await timed('pose', () => adaptersOf(engine, read, base, context))
  const seed = chooseSeed(input.seed)
  const request = { ...requestOf(engine, input, seed, read.reference, context), adapters }
  const started = performance.now()
  const run = drawAdapted(engine, request, base, context)
  const { images } = yield* inShapeOf(run, (picture) => ({ images: [picture], seed, timings: {} }))
  timings.inference = (performance.now() - started) / 1000
  return { images, seed, timings }
}

/** Adds the seconds of what it runs to a named entry. */
function timer(timings: Record<string, number>) {
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    const result = await work()
    timings[name] = (timings[name] ?? 0) + (performance.now() - started) / 1000
    return result
  }
}

interface InputsRead {
  readonly reference: RgbImage
  readonly pose: RgbImage
  /** The pictures of the archive, by name. */
  readonly prompts: readonly RgbImage[]
  /** The same as an image encoder looks at them. */
  readonly encoderPrompts: readonly RgbImage[]
}

async function readInputs(
  engine: ImageEngine,
  input: Input,
  archive: readonly Uint8Array[],
  context: HandlerContext,
): Promise<InputsRead> {
  const archived = archive.map((source, i) => ({ field: [ARCHIVE_FIELD, i], source }))
  const pictures = await readPictures(
    engine,
    [
      { field: ['reference_image_url'], source: input.reference_image_url },
      { field: ['reference_pose_image_url'], source: input.reference_pose_image_url },
      ...archived,
    ],
    context,
  )
  const prompts = archived.map(({ field }) => pictures.at(...field))
  return {
    reference: pictures.at('reference_image_url'),
    pose: pictures.at('reference_pose_image_url'),
    prompts,
    encoderPrompts: await fitEncoderPictures(engine, prompts, [ARCHIVE_FIELD]),
  }
}

const ARCHIVE_FIELD = 'ip_archive_url'

function archiveError(error: ArchiveError): WireError {
  const type = 'invalid_archive'
  const ctx = { supported_extensions: ['.zip', '.tar', '.tar.gz'] }
  return fieldError(ARCHIVE_FIELD, type, error.message, { url: errorPage(type), ctx })
}

async function archivedPictures(url: string, context: HandlerContext): Promise<Uint8Array[]> {
  const bytes = await context.readFile(url, [ARCHIVE_FIELD], 'any')
  try {
    return (await readPictureArchive(bytes)).map(({ data }) => data)
  } catch (error) {
    if (error instanceof ArchiveError) throw archiveError(error)
    throw toWireError(error, { image: ARCHIVE_FIELD })
  }
}

/** What is drawn with, fetched before the device is taken. */
async function findBaseAndAdapters(
  engine: ImageEngine,
  { reference }: InputsRead,
  context: HandlerContext,
): Promise<FoundBaseModel> {
  const { model: name } = engine.recipes['fal-ai/controlnet-ip-adapter']
  const base = await findBase(engine, { name }, sizeOfInput(reference), context)
  const recipe = recipeOf(engine, base)
  await poseDetectorFor(engine, base, context)
  await findAdapters(engine, referencesOf(recipe), context)
  return base
}

function referencesOf(recipe: Recipe) {
  return {
    controlNets: [{ path: recipe.pose_controlnet }],
    imagePrompts: [imagePromptOf(recipe)],
    imageEncoder: imageEncoderOf(recipe),
  }
}

type Recipe = ImageEngine['recipes']['fal-ai/controlnet-ip-adapter']

/** Where a demo checkpoint stands in, its own adapters stand in for those of the recipe. */
function recipeOf(engine: ImageEngine, { standIn }: FoundBaseModel): Recipe {
  const recipe = engine.recipes['fal-ai/controlnet-ip-adapter']
  if (!standIn) return recipe
  return {
    ...recipe,
    pose_controlnet: STAND_IN_ADAPTERS.pose,
    ip_adapter: STAND_IN_ADAPTERS.ipAdapter,
    ip_adapter_subfolder: '',
    ip_adapter_weight_name: '',
    image_encoder: '',
  }
}

/** Nothing is fetched for a stand-in. */
function poseDetectorFor({ vision }: ImageEngine, { standIn }: FoundBaseModel, context: HandlerContext) {
  return standIn ? vision.localPoseDetector(context) : vision.poseDetector(context)
}

function imagePromptOf(recipe: Recipe) {
  return {
    path: recipe.ip_adapter,
    subfolder: recipe.ip_adapter_subfolder,
    weightName: recipe.ip_adapter_weight_name,
  }
}

function imageEncoderOf(recipe: Recipe) {
  return recipe.image_encoder === '' ? undefined : { path: recipe.image_encoder }
}

function requestOf(
  engine: ImageEngine,
  input: Input,
  seed: bigint,
  reference: RgbImage,
  context: HandlerContext,
): Omit<AdaptedRequest, 'adapters'> {
  const recipe = engine.recipes['fal-ai/controlnet-ip-adapter']
  return {
    model: { name: recipe.model },
    generation: {
      prompt: input.prompt,
      negativePrompt: input.negative_prompt,
      scheduler: { name: 'DPM++ 2M Karras' },
      schedule: { numInferenceSteps: recipe.steps },
      guidanceScale: recipe.guidance_scale,
      seed,
    },
    size: sizeOfInput(reference),
    start: { image: reference, strength: recipe.strength },
    ...onePng(input, context),
  }
}

async function adaptersOf(
  engine: ImageEngine,
  { pose, prompts, encoderPrompts }: InputsRead,
  base: FoundBaseModel,
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const recipe = recipeOf(engine, base)
  const detector = await poseDetectorFor(engine, base, context)
  const poses = await detector.detect(pose)
  if (poses.every(({ body }) => body.every((joint) => joint === undefined))) {
    context.log('nobody was found in the picture of the pose: it has no say', 'WARN')
  }
  return {
    ...NO_ADAPTERS,
    imageEncoder: imageEncoderOf(recipe),
    controlNets: [
      {
        path: recipe.pose_controlnet,
        image: await engine.pictures.drawPoses(poses, pose, ['body']),
        scale: recipe.pose_controlnet_scale,
        start: 0,
        end: 1,
      },
    ],
    imagePrompts: [
      {
        ...imagePromptOf(recipe),
        images: prompts,
        encoderImages: encoderPrompts,
        averaged: true,
        scale: recipe.ip_adapter_scale,
        projectionShortcut: true,
      },
    ],
  }
}
