import { drawFaceKeyPoints, type Face, type PoseDetector, type RgbImage } from '@darkroom/engine'
import type { z } from 'zod'
import { drawAdapted } from '../../../drawing/adapted-drawing.ts'
import {
  type AdaptedRequest,
  type AdaptersRequest,
  type BaseModelRequest,
  type ControlNetRequest,
  type ImagePromptRequest,
  NO_ADAPTERS,
  onePng,
} from '../../../drawing/adapted-request.ts'
import { findAdapters } from '../../../drawing/adapters.ts'
import { type FoundBaseModel, findBase, loadBase } from '../../../drawing/base-model.ts'
import { bundledCheckpoint } from '../../../drawing/checkpoint-choice.ts'
import { type AnalyzedFace, noFaceError } from '../../../drawing/face-analysis.ts'
import { resizeFacePicture } from '../../../drawing/face-size.ts'
import { fitEncoderPictures } from '../../../drawing/fit-picture.ts'
import type { ImageEngine } from '../../../drawing/image-engine.ts'
import { pictureFrom, sizeOfInput } from '../../../drawing/input-pictures.ts'
import type { FilePicture, OutputPicture } from '../../../drawing/picture-output.ts'
import { inShapeOf } from '../../../drawing/run-steps.ts'
import { chooseSeed } from '../../../drawing/seed.ts'
import { latentConsistencyStandIn, noteStandInAdapters, STAND_IN_ADAPTERS } from '../../../drawing/stand-in.ts'
import { readAdaptedAhead } from '../../../drawing/weights-ahead.ts'
import { fieldError, WireError } from '../../../errors/errors.ts'
import { DEMO_FACE_PACK } from '../../../models/vision-models.ts'
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
    runnable(
      instantIdLcm,
      async (input, context) => {
        const recipe = engine.recipes['fal-ai/instantid/lcm']
        const sides = { shorter: recipe.shorter_side, longer: recipe.longer_side }
        const face = await pictureFrom(engine, input.face_image_url, 'face_image_url', context)
        const picture = await resizeFacePicture(face, sides, engine.pictures)
        const { name } = modelOf(engine, input)
        const base = await findBase(engine, { name }, picture, context)
        const isDemo = base.standIn || bundledCheckpoint(engine.registry, name) !== undefined
        if (!isDemo) await findIdentityWeights(engine, input, context)
        return draw(engine, input, { picture, name, base, isDemo }, context)
      },
      (input, signal) => {
        const model = modelOf(engine, input)
        // The demo checkpoint has parts of its own, which are small.
        const isDemo = bundledCheckpoint(engine.registry, model.name) !== undefined
        const parts = isDemo ? {} : identityReferences(engine, input)
        return readAdaptedAhead(engine, { model, ...parts }, signal)
      },
    ),
  ]
}

function modelOf({ recipes }: ImageEngine, { model_name: name }: Input): BaseModelRequest {
  return { name: name ?? recipes['fal-ai/instantid/lcm'].model }
}

interface Prepared {
  readonly picture: RgbImage
  readonly name: string
  readonly base: FoundBaseModel
  /** A demo checkpoint draws, asked for or in place of the model. */
  readonly isDemo: boolean
}

async function* draw(
  engine: ImageEngine,
  input: Input,
  { picture, name, base: found, isDemo }: Prepared,
  context: HandlerContext,
): Drawing<Output> {
  const adapters = isDemo
    ? await demoAdapters(engine, input, picture, found.standIn, context)
    : await identityAdapters(engine, input, picture, context)
  const base = isDemo
    ? await latentConsistencyStandIn(engine, found, context)
    : requireXl(await loadBase(engine, found, context))
  const seed = chooseSeed(input.seed)
  const run = drawAdapted(engine, { ...requestOf(input, name, seed, picture, context), adapters }, base, context)
  const { images } = yield* inShapeOf(run, (image) => ({ image, seed }))
  return { image: images[0] as FilePicture, seed }
}

/** Fetched before the device is taken. */
async function findIdentityWeights(engine: ImageEngine, input: Input, context: HandlerContext): Promise<void> {
  const { controlnet_selection: selection } = input
  if (selection === 'depth') await engine.vision.depthEstimator('dpt', context)
  if (selection === 'pose') await engine.vision.poseDetector(context)
  await findAdapters(engine, identityReferences(engine, input), context)
}

/** Where InstantID's parts are, the further ControlNet and the LCM-LoRA. */
function identityReferences({ recipes }: ImageEngine, { controlnet_selection: selection }: Input) {
  const recipe = recipes['fal-ai/instantid/lcm']
  const selected = selection === null ? [] : [{ path: recipe[`${selection}_controlnet`] }]
  return {
    loras: recipe.lcm_lora === '' ? [] : [{ path: recipe.lcm_lora }],
    controlNets: [{ path: recipe.identity_controlnet }, ...selected],
    imagePrompts: [{ path: recipe.ip_adapter }],
  }
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

function requestOf(
  input: Input,
  name: string,
  seed: bigint,
  picture: RgbImage,
  context: HandlerContext,
): Omit<AdaptedRequest, 'adapters'> {
  return {
    model: { name },
    generation: {
      ...applyStyle(input.style, input.prompt, input.negative_prompt),
      scheduler: { name: 'LCM' },
      schedule: { numInferenceSteps: input.num_inference_steps },
      guidanceScale: input.guidance_scale,
      seed,
    },
    size: sizeOfInput(picture),
    ...onePng(input, context),
  }
}

/** InstantID's parts, one further ControlNet, and the LCM-LoRA. */
async function identityAdapters(
  engine: ImageEngine,
  input: Input,
  picture: RgbImage,
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const recipe = engine.recipes['fal-ai/instantid/lcm']
  const { controlnet_selection: selection } = input
  const known = await engine.faceAnalysis.analyze(picture, context)
  const face = identityOf(known, input, picture, {
    controlNet: recipe.identity_controlnet,
    imagePrompt: recipe.ip_adapter,
  })
  if (!face) throw noFaceError('face_image_url')
  const selected = selection && (await controlPicture(engine, selection, picture, context))
  const control = selected && controlOf(recipe[`${selection}_controlnet`], selected, input)
  return {
    ...face,
    loras: recipe.lcm_lora === '' ? [] : [{ path: recipe.lcm_lora, scale: 1 }],
    controlNets: [...face.controlNets, ...(control ? [control] : [])],
  }
}

/** IdentityNet on the key points, and the image prompt of the embedding, which both read; undefined where there is no face. */
function identityOf(
  { face, embedding }: AnalyzedFace,
  input: Input,
  picture: RgbImage,
  parts: { readonly controlNet: string; readonly imagePrompt: string },
): AdaptersRequest | undefined {
  if (!face || !embedding) return undefined
  const mask = input.enhance_face_region ? faceRegion(face, picture) : undefined
  const identity: ControlNetRequest = {
    path: parts.controlNet,
    image: drawFaceKeyPoints(face.keyPoints, picture.width, picture.height),
    mask,
    scale: input.identity_controlnet_conditioning_scale,
    start: 0,
    end: 1,
    imagePromptIndex: 0,
  }
  const prompt: ImagePromptRequest = {
    path: parts.imagePrompt,
    images: [],
    faceEmbeddings: [embedding],
    mask,
    maskResampling: 'nearest',
    scale: input.ip_adapter_scale,
    projectionShortcut: true,
  }
  return { ...NO_ADAPTERS, controlNets: [identity], imagePrompts: [prompt] }
}

/**
 * What the demo checkpoint has in place of InstantID, whose networks know drawn portraits alone, and of the selected ControlNet. Where
 * they see nobody, its image prompt takes over what the whole picture shows, and nobody's face.
 */
async function demoAdapters(
  engine: ImageEngine,
  input: Input,
  picture: RgbImage,
  standsIn: boolean,
  context: HandlerContext,
): Promise<AdaptersRequest> {
  const selection = input.controlnet_selection === 'depth' ? null : input.controlnet_selection
  if (input.controlnet_selection === 'depth') {
    context.log('Nothing that comes with the program sees depth: it has no say', 'WARN')
  }
  const known = await engine.faceAnalysis.analyze(picture, context, DEMO_FACE_PACK.folder)
  const face = identityOf(known, input, picture, {
    controlNet: STAND_IN_ADAPTERS.identityControlNet,
    imagePrompt: STAND_IN_ADAPTERS.identity,
  })
  const used = [face ? ('identity' as const) : ('ipAdapter' as const), ...(selection === null ? [] : [selection])]
  if (standsIn) noteStandInAdapters('identity and outlines', used, context)
  if (!face) await engine.faceAnalysis.noteMissingFace(picture, context)
  context.log(`${DEMO_FACE_PACK.folder} knows drawn portraits alone: ${face ? READ : UNREAD}`, 'WARN')
  const selected = selection && (await demoControlPicture(engine, selection, picture, context))
  const control = selected && controlOf(STAND_IN_ADAPTERS[selection], selected, input)
  const adapters = face ?? { ...NO_ADAPTERS, imagePrompts: [await wholePicturePrompt(engine, input, picture)] }
  return { ...adapters, controlNets: [...adapters.controlNets, ...(control ? [control] : [])] }
}

const READ = 'what it reads in the face of a photograph cannot be relied on'
const UNREAD = 'it sees none here, and nobody’s face is taken over'

async function wholePicturePrompt(engine: ImageEngine, input: Input, picture: RgbImage): Promise<ImagePromptRequest> {
  const images = [picture]
  return {
    path: STAND_IN_ADAPTERS.ipAdapter,
    images,
    encoderImages: await fitEncoderPictures(engine, images, ['face_image_url']),
    scale: input.ip_adapter_scale,
    projectionShortcut: true,
  }
}

function controlOf(path: string, image: RgbImage, { controlnet_conditioning_scale: scale }: Input): ControlNetRequest {
  return { path, image, scale, start: 0, end: 1 }
}

async function demoControlPicture(
  engine: ImageEngine,
  selection: 'canny' | 'pose',
  picture: RgbImage,
  context: HandlerContext,
): Promise<RgbImage> {
  if (selection === 'canny') return controlPicture(engine, selection, picture, context)
  return posePicture(engine, await engine.vision.localPoseDetector(context), picture)
}

async function posePicture(engine: ImageEngine, detector: PoseDetector, picture: RgbImage): Promise<RgbImage> {
  return engine.pictures.drawPoses(await detector.detect(picture), picture, ['body'])
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
      return (await engine.vision.depthEstimator('dpt', context)).estimate(picture, engine.pictures)
    case 'pose':
      return posePicture(engine, await engine.vision.poseDetector(context), picture)
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
