import { ArchiveError, decodeImage, drawPoses, type RgbImage, readPictureArchive } from '@darkroom/engine'
import type { z } from 'zod'
import { drawAdapted } from '../../../drawing/adapted-drawing.ts'
import { type AdaptedRequest, type AdaptersRequest, NO_ADAPTERS } from '../../../drawing/adapted-request.ts'
import { openBaseModel } from '../../../drawing/base-model.ts'
import { toWireError } from '../../../drawing/engine-errors.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { pictureFrom, sizeOfInput } from '../../../drawing/input-picture.ts'
import type { FilePicture, OutputPicture } from '../../../drawing/picture-output.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { withoutAdapters } from '../../../drawing/stand-in.ts'
import { fieldError } from '../../../errors/errors.ts'
import { type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
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
    runnable(controlNetIpAdapter, async function* (input, context): AsyncGenerator<Partial<Output>, Output> {
      const timings: Record<string, number> = {}
      const timed = timer(timings)
      const reference = await timed('reference', () =>
        pictureFrom(input.reference_image_url, ['reference_image_url'], context),
      )
      const pose = await timed('pose', () =>
        pictureFrom(input.reference_pose_image_url, ['reference_pose_image_url'], context),
      )
      const prompts = await timed('archive', () => picturesOf(input.ip_archive_url, context))
      const size = sizeOfInput(reference)
      const recipe = engine.recipes['fal-ai/controlnet-ip-adapter']
      const base = await timed('model', () => openBaseModel(engine, { name: recipe.model }, size, context))
      const plain = requestOf(engine, input, reference, context)
      const request = base.standIn
        ? withoutAdapters(plain, 'What takes over pose and subject', context)
        : { ...plain, adapters: await timed('pose', () => adaptersOf(engine, pose, prompts, context)) }
      const { seed } = request
      const started = performance.now()
      const run = drawAdapted(engine, request, context, base)
      let next = await run.next()
      for (; !next.done; next = await run.next()) yield { images: [next.value], seed, timings: {} }
      timings.inference = (performance.now() - started) / 1000
      return { images: next.value.images, seed, timings }
    }),
  ]
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

const ARCHIVE_FIELD = ['ip_archive_url']

/** The pictures of the archive, by name. */
async function picturesOf(url: string, context: HandlerContext): Promise<RgbImage[]> {
  const bytes = await context.readFile(url, ARCHIVE_FIELD, 'any')
  try {
    const pictures: RgbImage[] = []
    for (const file of await readPictureArchive(bytes)) pictures.push(await decodeImage(file.data))
    return pictures
  } catch (error) {
    if (error instanceof ArchiveError) throw fieldError(ARCHIVE_FIELD, 'value_error', error.message)
    throw toWireError(error, { image: ARCHIVE_FIELD })
  }
}

function requestOf(engine: ImageEngine, input: Input, reference: RgbImage, context: HandlerContext): AdaptedRequest {
  const recipe = engine.recipes['fal-ai/controlnet-ip-adapter']
  return {
    model: { name: recipe.model },
    adapters: NO_ADAPTERS,
    prompt: input.prompt,
    negativePrompt: input.negative_prompt,
    promptWeighting: false,
    clipSkip: 0,
    scheduler: { name: 'DPM++ 2M Karras' },
    schedule: { numInferenceSteps: recipe.steps },
    guidanceScale: recipe.guidance_scale,
    eta: 0,
    seed: chooseSeed(input.seed),
    numImages: 1,
    size: sizeOfInput(reference),
    start: { image: reference, strength: recipe.strength },
    checkSafety: input.enable_safety_checker,
    safetyCheckerVersion: 'v1',
    format: { format: 'png', syncMode: context.inlineBytes },
    debug: { final: false, passes: false },
  }
}

async function adaptersOf(
  engine: ImageEngine,
  pose: RgbImage,
  prompts: readonly RgbImage[],
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const recipe = engine.recipes['fal-ai/controlnet-ip-adapter']
  const detector = await engine.vision.poseDetector(context)
  const poses = await detector.detect(pose)
  if (poses.every(({ body }) => body.every((joint) => joint === undefined))) {
    context.log('nobody was found in the picture of the pose: it has no say', 'WARN')
  }
  return {
    loras: [],
    embeddings: [],
    guessMode: false,
    imageEncoder: recipe.image_encoder === '' ? undefined : { path: recipe.image_encoder },
    controlNets: [
      {
        path: recipe.pose_controlnet,
        image: drawPoses(poses, pose, ['body']),
        scale: recipe.pose_controlnet_scale,
        start: 0,
        end: 1,
      },
    ],
    imagePrompts: [
      {
        path: recipe.ip_adapter,
        subfolder: recipe.ip_adapter_subfolder,
        weightName: recipe.ip_adapter_weight_name,
        images: prompts,
        averaged: true,
        scale: recipe.ip_adapter_scale,
        projectionShortcut: true,
      },
    ],
  }
}
