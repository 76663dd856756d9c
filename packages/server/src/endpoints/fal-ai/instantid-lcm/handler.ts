import { drawFaceKeyPoints, drawPoses, type Face, greyToRgb, type PoseDetector, type RgbImage } from '@darkroom/engine'
import type { z } from 'zod'
import { drawAdapted } from '../../../drawing/adapted-drawing.ts'
import {
  type AdaptedRequest,
  type AdaptersRequest,
  type ControlNetRequest,
  type ImagePromptRequest,
  NO_ADAPTERS,
} from '../../../drawing/adapted-request.ts'
import { findAdapters } from '../../../drawing/adapters.ts'
import { type FoundBaseModel, findBase, loadBase } from '../../../drawing/base-model.ts'
import { type AnalyzedFace, noFaceError } from '../../../drawing/face-analysis.ts'
import { resizeFacePicture } from '../../../drawing/face-size.ts'
import { fitEncoderPictures } from '../../../drawing/fit-picture.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { pictureFrom } from '../../../drawing/input-pictures.ts'
import type { FilePicture, OutputPicture } from '../../../drawing/picture-output.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { latentConsistencyStandIn, noteStandInAdapters, STAND_IN_ADAPTERS } from '../../../drawing/stand-in.ts'
import { fieldError, WireError } from '../../../errors/errors.ts'
import { type Drawing, type HandlerContext, type RunnableEndpoint, runnable } from '../../endpoint.ts'
import { instantIdLcm } from './schema.ts'
import { applyStyle } from './styles.ts'

type Input = z.output<typeof instantIdLcm.input>

interface Output {
  readonly image: FilePicture | OutputPicture
  readonly seed: bigint
}

/** The person of a photograph in other scenes (InstantID, arXiv 2401.07519) with latent consistency steps. */
export function createEndpoints(engine: ImageEngine): readonly RunnableEndpoint[] {
  return [
    runnable(instantIdLcm, async (input, context) => {
      const recipe = engine.recipes['fal-ai/instantid/lcm']
      const sides = { shorter: recipe.shorter_side, longer: recipe.longer_side }
      const face = await pictureFrom(engine, input.face_image_url, 'face_image_url', context)
      const picture = await resizeFacePicture(face, sides, engine.pictures)
      const name = input.model_name ?? recipe.model
      const base = await findBase(engine, { name }, picture, context)
      if (!base.standIn) await findIdentityWeights(engine, input, context)
      return draw(engine, input, { picture, name, base }, context)
    }),
  ]
}

interface Prepared {
  readonly picture: RgbImage
  readonly name: string
  readonly base: FoundBaseModel
}

async function* draw(
  engine: ImageEngine,
  input: Input,
  { picture, name, base: found }: Prepared,
  context: HandlerContext,
): Drawing<Output> {
  const request = requestOf(input, name, picture, context)
  if (found.standIn) await engine.faceAnalysis.noteMissingFace(picture, context)
  const run = found.standIn
    ? drawAdapted(
        engine,
        { ...request, adapters: await standInAdapters(engine, input, picture, context) },
        await latentConsistencyStandIn(engine, found, context),
        context,
      )
    : drawAdapted(
        engine,
        { ...request, adapters: await identityAdapters(engine, input, picture, context) },
        requireXl(await loadBase(engine, found, context)),
        context,
      )
  const { seed } = request
  let next = await run.next()
  for (; !next.done; next = await run.next()) yield { image: next.value, seed }
  return { image: next.value.images[0] as FilePicture, seed }
}

/** Fetched before the device is taken. */
async function findIdentityWeights(engine: ImageEngine, input: Input, context: HandlerContext): Promise<void> {
  const recipe = engine.recipes['fal-ai/instantid/lcm']
  const { controlnet_selection: selection } = input
  if (selection === 'depth') await engine.vision.depthEstimator('dpt', context)
  if (selection === 'pose') await engine.vision.poseDetector(context)
  const selected = selection === null ? [] : [{ path: recipe[`${selection}_controlnet`] }]
  await findAdapters(
    engine,
    {
      loras: recipe.lcm_lora === '' ? [] : [{ path: recipe.lcm_lora }],
      embeddings: [],
      controlNets: [{ path: recipe.identity_controlnet }, ...selected],
      imagePrompts: [{ path: recipe.ip_adapter }],
    },
    context,
  )
}

function requireXl<
  T extends { readonly model: { readonly kind: string }; readonly choice: { readonly label: string } },
>(base: T): T {
  if (base.model.kind === 'stable-diffusion-xl') return base
  throw fieldError(
    'model_name',
    'value_error',
    `${base.choice.label} is no SDXL model, and InstantID is for SDXL alone`,
  )
}

function requestOf(input: Input, name: string, picture: RgbImage, context: HandlerContext): AdaptedRequest {
  return {
    model: { name },
    adapters: NO_ADAPTERS,
    ...applyStyle(input.style, input.prompt, input.negative_prompt),
    promptWeighting: false,
    clipSkip: 0,
    scheduler: { name: 'LCM' },
    schedule: { numInferenceSteps: input.num_inference_steps },
    guidanceScale: input.guidance_scale,
    eta: 0,
    seed: chooseSeed(input.seed),
    numImages: 1,
    size: { width: picture.width, height: picture.height },
    checkSafety: input.enable_safety_checker,
    safetyCheckerVersion: 'v1',
    format: { format: 'png', syncMode: context.inlineBytes },
    debug: { final: false, passes: false },
  }
}

/** IdentityNet on the key points, the image prompt of the embedding, one further ControlNet, and the LCM-LoRA. */
async function identityAdapters(
  engine: ImageEngine,
  input: Input,
  picture: RgbImage,
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const recipe = engine.recipes['fal-ai/instantid/lcm']
  const { face, embedding } = await findFace(engine, picture, context)
  const mask = input.enhance_face_region ? faceRegion(face, picture) : undefined
  const identity: ControlNetRequest = {
    path: recipe.identity_controlnet,
    image: drawFaceKeyPoints(face.keyPoints, picture.width, picture.height),
    mask,
    scale: input.identity_controlnet_conditioning_scale,
    start: 0,
    end: 1,
    imagePromptIndex: 0,
  }
  const selected = await selectedControl(engine, input, picture, context)
  return {
    loras: recipe.lcm_lora === '' ? [] : [{ path: recipe.lcm_lora, scale: 1 }],
    embeddings: [],
    controlNets: selected ? [identity, selected] : [identity],
    guessMode: false,
    imagePrompts: [
      {
        path: recipe.ip_adapter,
        images: [],
        faceEmbeddings: [embedding],
        mask,
        maskResampling: 'nearest',
        scale: input.ip_adapter_scale,
        projectionShortcut: true,
      },
    ],
  }
}

/**
 * In place of InstantID: the demo checkpoint's image prompt, which takes over what the whole picture shows and knows nobody's face, and
 * the selected ControlNet.
 */
async function standInAdapters(
  engine: ImageEngine,
  input: Input,
  picture: RgbImage,
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const selection = input.controlnet_selection === 'depth' ? null : input.controlnet_selection
  if (input.controlnet_selection === 'depth') {
    context.log('Nothing that comes with the program sees depth: it has no say', 'WARN')
  }
  noteStandInAdapters('identity and outlines', ['ipAdapter', ...(selection === null ? [] : [selection])], context)
  const control = selection === null ? [] : [await standInControl(engine, selection, input, picture, context)]
  const images = [picture]
  const prompt: ImagePromptRequest = {
    path: STAND_IN_ADAPTERS.ipAdapter,
    images,
    encoderImages: await fitEncoderPictures(engine, images, ['face_image_url']),
    scale: input.ip_adapter_scale,
    projectionShortcut: true,
  }
  return { ...NO_ADAPTERS, controlNets: control, imagePrompts: [prompt] }
}

async function standInControl(
  engine: ImageEngine,
  selection: 'canny' | 'pose',
  { controlnet_conditioning_scale: scale }: Input,
  picture: RgbImage,
  context: HandlerContext,
): Promise<ControlNetRequest> {
  const image =
    selection === 'canny'
      ? await controlPicture(engine, selection, picture, context)
      : await posePicture(await engine.vision.localPoseDetector(context), picture)
  return { path: STAND_IN_ADAPTERS[selection], image, scale, start: 0, end: 1 }
}

async function posePicture(detector: PoseDetector, picture: RgbImage): Promise<RgbImage> {
  return drawPoses(await detector.detect(picture), picture, ['body'])
}

async function findFace(
  engine: ImageEngine,
  picture: RgbImage,
  context: HandlerContext,
): Promise<Required<AnalyzedFace>> {
  const { face, embedding } = await engine.faceAnalysis.analyze(picture, context)
  if (!face || !embedding) throw noFaceError('face_image_url')
  return { face, embedding }
}

async function selectedControl(
  engine: ImageEngine,
  input: Input,
  picture: RgbImage,
  context: HandlerContext,
): Promise<ControlNetRequest | undefined> {
  const { controlnet_selection: selection } = input
  if (selection === null) return undefined
  const recipe = engine.recipes['fal-ai/instantid/lcm']
  return {
    path: recipe[`${selection}_controlnet`],
    image: await controlPicture(engine, selection, picture, context),
    scale: input.controlnet_conditioning_scale,
    start: 0,
    end: 1,
  }
}

async function controlPicture(
  engine: ImageEngine,
  selection: NonNullable<Input['controlnet_selection']>,
  picture: RgbImage,
  context: HandlerContext,
): Promise<RgbImage> {
  switch (selection) {
    case 'canny':
      return engine.pictures.canny(picture)
    case 'depth':
      return greyToRgb(await (await engine.vision.depthEstimator('dpt', context)).estimate(picture))
    case 'pose':
      return posePicture(await engine.vision.poseDetector(context), picture)
  }
}

/** White where the face is, whole pixels. */
function faceRegion({ box }: Face, { width, height }: RgbImage): RgbImage {
  const data = new Uint8Array(width * height * 3)
  const inside = (value: number, size: number) => Math.min(size, Math.max(0, Math.trunc(value)))
  const [left, right] = [inside(box.left, width), inside(box.right, width)]
  if (right <= left) throw new WireError(422, 'the face lies outside of the picture')
  for (let y = inside(box.top, height); y < inside(box.bottom, height); y++) {
    data.fill(255, (y * width + left) * 3, (y * width + right) * 3)
  }
  return { width, height, data }
}
