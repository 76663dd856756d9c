import { dirname } from 'node:path'
import {
  alignFace,
  type Engine,
  type ImageEncoder,
  type ImagePromptParameters,
  type LoadedIPAdapter,
  type Lora,
  loadImageEncoder,
  loadIPAdapter,
  normalizeEmbedding,
  openComponent,
  openWeightFile,
  projectionSources,
  type StableDiffusion,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { ModelError } from '../models/model-error.ts'
import type { FoundModel } from '../models/model-store.ts'
import type { ImageEncoderRequest, ImagePromptReference, ImagePromptRequest } from './adapted-request.ts'
import { noFaceError } from './face-analysis.ts'
import { type FindContext, findWeights, pathOf, type WeightsFinder } from './find-weights.ts'
import { ENCODER_SIDE } from './fit-picture.ts'
import type { ImageEngine } from './image-engine.ts'

export interface OpenedImagePrompt {
  readonly parameters: ImagePromptParameters
  /** A LoRA that the adapter's file brings along (FaceID), to be applied with scale 1. */
  readonly lora: Lora | undefined
}

/** The weights of an IP-Adapter. @throws WireError 422 */
export function findImagePrompt(
  { store }: { readonly store: WeightsFinder },
  { path, subfolder, weightName }: ImagePromptReference,
  context: FindContext,
): Promise<FoundModel> {
  const wish = { kind: 'ip-adapter' as const, ...(subfolder && { subfolder }), ...(weightName && { weightName }) }
  return findWeights(store, path, wish, context)
}

/** The weights of an image encoder. @throws WireError 422 */
export function findImageEncoder(
  { store }: { readonly store: WeightsFinder },
  { path, subfolder, weightName }: ImageEncoderRequest,
  context: FindContext,
): Promise<FoundModel> {
  const wish = { kind: 'image-encoder' as const, ...(subfolder && { subfolder }), ...(weightName && { weightName }) }
  return findWeights(store, path, wish, context)
}

/**
 * One IP-Adapter of a request, loaded with its image encoder.
 * @param index of the request's list, for messages; `encoder` is where the image encoder is, beside the adapter's weights when absent
 * @throws WireError, the engine's errors
 */
export async function openImagePrompt(
  engine: ImageEngine,
  model: StableDiffusion,
  request: ImagePromptRequest,
  { index, encoder }: { readonly index: number; readonly encoder: ImageEncoderRequest | undefined },
  context: HandlerContext,
): Promise<OpenedImagePrompt> {
  const found = await findImagePrompt(engine, request, context)
  const path = pathOf(found)
  const key = JSON.stringify([path, model.unet.config.crossAttentionChannels])
  const { adapter, lora } = await engine.ipAdapters.get(key, async () => {
    context.log(`Loading the IP-Adapter ${found.label}`)
    return openIPAdapter(engine.engine, model, path)
  })
  // Who gives embeddings needs neither.
  const needed = request.faceEmbeddings ? undefined : projectionSources(adapter.projection)
  const faces = needed?.faces ? await findFaces(engine, request, index, context) : undefined
  const pictureEncoder = needed?.pictures ? await openEncoder(engine, request, encoder, path, context) : undefined
  const seen =
    pictureEncoder?.config.imageSize === ENCODER_SIDE ? (request.encoderImages ?? request.images) : request.images
  // Of the adapters that read faces it alone has a resampler, and takes what the network gives.
  const isInstantId = adapter.projection.kind === 'resampler'
  const embeddings = faces
    ? faces.map(({ embedding }) => (isInstantId ? embedding : normalizeEmbedding(embedding)))
    : request.faceEmbeddings
  return {
    lora,
    parameters: {
      adapter,
      ...(pictureEncoder && { encoder: pictureEncoder }),
      images: faces ? faces.map(({ crop }) => crop) : seen,
      ...(embeddings && { faceEmbeddings: embeddings }),
      ...(request.averaged && { averaged: true }),
      ...(request.mask && { masks: [request.mask] }),
      ...(request.maskResampling && { maskResampling: request.maskResampling }),
      scale: request.scale,
      ...(request.scaleByBlock && { scaleByBlock: request.scaleByBlock }),
      ...(request.unconditionalNoise !== undefined && { unconditionalNoise: request.unconditionalNoise }),
      projectionShortcut: request.projectionShortcut,
    },
  }
}

/** An IP-Adapter's file, for the UNet of a model. @throws the engine's errors */
export function openIPAdapter(engine: Engine, { unet }: StableDiffusion, path: string): Promise<LoadedIPAdapter> {
  const component = { name: 'ip_adapter', weights: () => openWeightFile('ip_adapter', path) }
  return loadIPAdapter(engine, unet.config, component)
}

/** Side of the face that FaceID-Plus adapters look at. */
const FACE_CROP = 224

/** The face of each picture: who it is, and the face itself, upright. */
async function findFaces(
  engine: ImageEngine,
  { images, faceNetworks }: ImagePromptRequest,
  index: number,
  context: HandlerContext,
) {
  const faces = []
  for (const image of images) {
    const { face, embedding } = await engine.faceAnalysis.analyze(image, context, faceNetworks)
    if (!face || !embedding) throw noFaceError(['ip_adapter', index, 'ip_adapter_image_url'])
    faces.push({ embedding, crop: alignFace(image, face.keyPoints, FACE_CROP) })
  }
  return faces
}

async function openEncoder(
  engine: ImageEngine,
  request: ImagePromptRequest,
  encoder: ImageEncoderRequest | undefined,
  adapterPath: string,
  context: HandlerContext,
): Promise<ImageEncoder> {
  const { folder, label } = await findEncoder(engine, request, encoder, adapterPath, context)
  return engine.imageEncoders.get(folder, async () => {
    context.log(`Loading the image encoder ${label}`)
    return loadImageEncoder(engine.engine, await openComponent(folder, 'image_encoder'))
  })
}

/**
 * The image encoder that a request names, or that of the adapter itself.
 * @param adapterPath of the adapter's file
 * @throws WireError 422
 */
export async function findEncoder(
  sources: { readonly store: WeightsFinder },
  request: ImagePromptReference,
  encoder: ImageEncoderRequest | undefined,
  adapterPath: string,
  context: FindContext,
): Promise<EncoderFolder> {
  if (encoder === undefined) return encoderBeside(sources, request, adapterPath, context)
  const found = await findImageEncoder(sources, encoder, context)
  // The config lies beside a file of weights.
  return { folder: found.type === 'file' ? dirname(found.path) : found.folder, label: found.label }
}

interface EncoderFolder {
  readonly folder: string
  readonly label: string
}

/**
 * The adapter's own encoder: the folder `image_encoder` beside the weights; for SDXL's weights that were trained with ViT-H the one of
 * SD1.5's.
 */
async function encoderBeside(
  { store }: { readonly store: WeightsFinder },
  request: ImagePromptReference,
  adapterPath: string,
  context: FindContext,
): Promise<EncoderFolder> {
  const beside = request.subfolder ? `${request.subfolder}/image_encoder` : 'image_encoder'
  const subfolders = /vit-h/i.test(request.weightName ?? '') ? ['models/image_encoder', beside] : [beside]
  for (const subfolder of subfolders) {
    try {
      const found = await findWeights(store, request.path, { kind: 'image-encoder', subfolder }, context)
      return { folder: pathOf(found), label: `${found.label}/${subfolder}` }
    } catch (error) {
      if (!(error instanceof WireError && error.cause instanceof ModelError)) throw error
    }
  }
  const local = await openComponent(dirname(adapterPath), 'image_encoder').catch(() => undefined)
  if (local) return { folder: local.folder, label: 'beside its weights' }
  throw new WireError(
    422,
    `${request.path} has no image encoder beside its weights; name one with image_encoder_path (for SD1.5: h94/IP-Adapter, subfolder models/image_encoder).`,
  )
}
