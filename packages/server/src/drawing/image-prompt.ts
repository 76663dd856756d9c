import { dirname } from 'node:path'
import {
  type ImageEncoder,
  type ImagePromptParameters,
  loadImageEncoder,
  loadIPAdapter,
  openComponent,
  openWeightFile,
  type StableDiffusion,
  type UNetAdapter,
} from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { WireError } from '../errors/errors.ts'
import { ModelError } from '../models/model-error.ts'
import type { ImageEncoderRequest, ImagePromptRequest } from './adapted-request.ts'
import { findWeights, pathOf } from './find-weights.ts'
import type { ImageEngine } from './image-engine.ts'

export interface OpenedImagePrompt {
  readonly parameters: ImagePromptParameters
  /** A LoRA that the adapter's file brings along (FaceID). */
  readonly lora?: UNetAdapter
}

/**
 * One IP-Adapter of a request, loaded with its image encoder.
 * @param encoder where the image encoder is; beside the adapter's weights when absent
 * @throws WireError, the engine's errors
 */
export async function openImagePrompt(
  engine: ImageEngine,
  model: StableDiffusion,
  request: ImagePromptRequest,
  encoder: ImageEncoderRequest | undefined,
  context: HandlerContext,
): Promise<OpenedImagePrompt> {
  const wish = {
    kind: 'ip-adapter' as const,
    ...(request.subfolder && { subfolder: request.subfolder }),
    ...(request.weightName && { weightName: request.weightName }),
  }
  const found = await findWeights(engine.store, request.path, wish, context)
  const path = pathOf(found)
  const key = JSON.stringify([path, model.unet.config.crossAttentionChannels])
  const { adapter, file } = await engine.ipAdapters.get(key, async () => {
    context.log(`Loading the IP-Adapter ${found.label}`)
    const component = { name: 'ip_adapter', weights: () => openWeightFile('ip_adapter', path) }
    return loadIPAdapter(engine.engine, model.unet.config, component)
  })
  const { kind } = adapter.projection
  if (kind === 'face-id' || kind === 'face-id-plus' || file.lora.length > 0) {
    throw new WireError(
      422,
      `${found.label} is a FaceID adapter, which needs the embedding of a face; FaceID adapters are not served yet.`,
    )
  }
  return {
    parameters: {
      adapter,
      encoder: await openEncoder(engine, request, encoder, path, context),
      images: request.images,
      ...(request.mask && { masks: [request.mask] }),
      scale: request.scale,
      ...(request.scaleByBlock && { scaleByBlock: request.scaleByBlock }),
      ...(request.unconditionalNoise !== undefined && { unconditionalNoise: request.unconditionalNoise }),
      projectionShortcut: request.projectionShortcut,
    },
  }
}

async function openEncoder(
  engine: ImageEngine,
  request: ImagePromptRequest,
  encoder: ImageEncoderRequest | undefined,
  adapterPath: string,
  context: HandlerContext,
): Promise<ImageEncoder> {
  const { folder, label } = encoder
    ? await namedEncoder(engine, encoder, context)
    : await encoderBeside(engine, request, adapterPath, context)
  return engine.imageEncoders.get(folder, async () => {
    context.log(`Loading the image encoder ${label}`)
    return loadImageEncoder(engine.engine, await openComponent(folder, 'image_encoder'))
  })
}

interface EncoderFolder {
  readonly folder: string
  readonly label: string
}

async function namedEncoder(
  engine: ImageEngine,
  { path, subfolder, weightName }: ImageEncoderRequest,
  context: HandlerContext,
): Promise<EncoderFolder> {
  const wish = {
    kind: 'image-encoder' as const,
    ...(subfolder && { subfolder }),
    ...(weightName && { weightName }),
  }
  const found = await findWeights(engine.store, path, wish, context)
  // The config lies beside a file of weights.
  return { folder: found.type === 'file' ? dirname(found.path) : found.folder, label: found.label }
}

/**
 * The adapter's own encoder: the folder `image_encoder` beside the weights; for SDXL's weights that were trained with ViT-H the one of
 * SD1.5's.
 */
async function encoderBeside(
  engine: ImageEngine,
  request: ImagePromptRequest,
  adapterPath: string,
  context: HandlerContext,
): Promise<EncoderFolder> {
  const beside = request.subfolder ? `${request.subfolder}/image_encoder` : 'image_encoder'
  const subfolders = /vit-h/i.test(request.weightName ?? '') ? ['models/image_encoder', beside] : [beside]
  for (const subfolder of subfolders) {
    try {
      const found = await findWeights(engine.store, request.path, { kind: 'image-encoder', subfolder }, context)
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
