import type { ImagePromptMask } from '../adapters/image-prompt-adapter.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { TorchGenerator } from '../random/torch-generator.ts'
import { defined } from '../tensor/defined.ts'
import { concatenate, type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { BlockScales } from './block-scales.ts'
import type { ImageEncoder, ImageFeatures } from './image-encoder.ts'
import type { IPAdapter, ProjectedImages } from './ip-adapter.ts'
import { ParameterError } from './parameter-error.ts'

/** One IP-Adapter of a request with its pictures. */
export interface ImagePromptParameters {
  readonly adapter: IPAdapter
  /** Encodes `images`; FaceID and InstantID have none. */
  readonly encoder?: ImageEncoder
  /** At least one; for FaceID-Plus the faces, aligned and cropped to 224×224. */
  readonly images?: readonly RgbImage[]
  /**
   * [512] for each picture, for FaceID (of length 1), FaceID-Plus (of length 1) and InstantID (as the network gives them).
   */
  readonly faceEmbeddings?: readonly FloatTensor[]
  /** One image prompt of the mean of the pictures' features, in place of one for each picture. Default false. */
  readonly averaged?: boolean
  /** Where in the drawn picture the image prompts count (white): one for each picture, or one for all. Resized to the drawn picture's size. */
  readonly masks?: readonly RgbImage[]
  /** Default `bicubic`. */
  readonly maskResampling?: ImagePromptMask['resampling']
  /** Default 1. */
  readonly scale?: number
  /** Goes before `scale`. */
  readonly scaleByBlock?: BlockScales
  /** FaceID-Plus: version 2 (true, the default) or 1. */
  readonly projectionShortcut?: boolean
  /**
   * 0 (default): guidance leads away from "no picture", as in diffusers. Above: from a picture of noise around mid-grey, the same in every
   * request.
   */
  readonly unconditionalNoise?: number
}

/** How an adapter's pictures and their absence are projected. */
export interface FeatureSource {
  /** Pictures. */
  readonly count: number
  /** One row for each picture. */
  positive(): Promise<ProjectedImages>
  /** One row, which stands for each picture. */
  negative(): Promise<ProjectedImages>
}

export type FieldName = (field: string) => string

/** @throws ParameterError for pictures that do not fit the adapter */
export function featureSource(prompt: ImagePromptParameters, name: FieldName): FeatureSource {
  const { projection } = prompt.adapter
  switch (projection.kind) {
    case 'linear':
      return pictureSource(prompt, 'image_embeds', projection.imageChannels, name)
    case 'full':
      return pictureSource(prompt, 'hidden_states.-2', projection.imageChannels, name)
    case 'resampler':
      if (prompt.faceEmbeddings) return faceSource(prompt, [1, 1, projection.resampler.imageChannels], name)
      return pictureSource(prompt, 'hidden_states.-2', projection.resampler.imageChannels, name)
    case 'face-id':
      return faceSource(prompt, [1, projection.imageChannels], name)
    case 'face-id-plus':
      return facePlusSource(prompt, projection, name)
  }
}

function pictureSource(
  prompt: ImagePromptParameters,
  features: ImageFeatures,
  channels: number,
  name: FieldName,
): FeatureSource {
  const { adapter } = prompt
  const { images, encode, encodeNothing } = pictureEncoder(prompt, features, channels, name)
  return {
    count: prompt.averaged ? 1 : images.length,
    positive: async () => adapter.project(prompt.averaged ? meanOfRows(await encode()) : await encode()),
    negative: async () => adapter.project(await encodeNothing()),
  }
}

/** [N, …] → [1, …]: in double, rounded once. */
function meanOfRows({ shape, data }: FloatTensor): FloatTensor {
  const [count, ...rest] = shape as [number, ...number[]]
  const size = data.length / count
  const mean = Float32Array.from({ length: size }, (_, i) => {
    let sum = 0
    for (let row = 0; row < count; row++) sum += defined(data[row * size + i])
    return sum / count
  })
  return float32([1, ...rest], mean)
}

/** Pictures through the image encoder, and what guidance leads away from. */
function pictureEncoder(prompt: ImagePromptParameters, features: ImageFeatures, channels: number, name: FieldName) {
  const { encoder, images = [], unconditionalNoise = 0 } = prompt
  if (!encoder) throw new ParameterError(name('encoder'), 'this IP-Adapter needs an image encoder')
  if (images.length === 0) throw new ParameterError(name('images'), 'must have at least one picture')
  const given = features === 'image_embeds' ? encoder.config.projectionSize : encoder.config.hiddenSize
  if (given !== channels) {
    throw new ParameterError(
      name('encoder'),
      `the image encoder gives ${given} features, the IP-Adapter takes ${channels}: it was trained with another one`,
    )
  }
  const nothing = async () => {
    if (unconditionalNoise > 0)
      return encoder.encode([noisePicture(encoder.config.imageSize, unconditionalNoise)], features)
    // diffusers takes zeros for the absence of pooled features, and features of zeros for the others'.
    return features === 'image_embeds' ? float32([1, channels]) : encoder.encodeNothing(features)
  }
  return { images, encode: () => encoder.encode(images, features), encodeNothing: nothing }
}

/** Mid-grey with normal noise of this deviation, from a fixed seed. */
function noisePicture(side: number, deviation: number): RgbImage {
  const noise = new TorchGenerator(0n).randn([side * side * 3]).data
  const data = Uint8ClampedArray.from(noise, (value) => 255 * (0.5 + deviation * value))
  return { width: side, height: side, data: new Uint8Array(data.buffer) }
}

function faceSource(
  { adapter, faceEmbeddings }: ImagePromptParameters,
  shape: readonly number[],
  name: FieldName,
): FeatureSource {
  const faces = faceTensors(faceEmbeddings, shape, name)
  return {
    count: faces.length,
    positive: () => adapter.project(concatenate(faces)),
    negative: () => adapter.project(float32(shape)),
  }
}

function faceTensors(
  embeddings: readonly FloatTensor[] | undefined,
  shape: readonly number[],
  name: FieldName,
): FloatTensor[] {
  const size = defined(shape.at(-1))
  if (!embeddings || embeddings.length === 0) {
    throw new ParameterError(name('faceEmbeddings'), 'this IP-Adapter needs the embedding of a face')
  }
  return embeddings.map(({ data }) => {
    if (data.length === size) return float32(shape, data)
    throw new ParameterError(name('faceEmbeddings'), `must have ${size} numbers, got ${data.length}`)
  })
}

function facePlusSource(
  prompt: ImagePromptParameters,
  projection: Extract<IPAdapter['projection'], { kind: 'face-id-plus' }>,
  name: FieldName,
): FeatureSource {
  const { adapter, projectionShortcut: shortcut = true } = prompt
  const shape = [1, projection.faceChannels]
  const faces = faceTensors(prompt.faceEmbeddings, shape, name)
  const pictures = pictureEncoder(prompt, 'hidden_states.-2', projection.resampler.imageChannels, name)
  if (pictures.images.length !== faces.length) {
    throw new ParameterError(
      name('images'),
      `must be one for each face: ${faces.length}, got ${pictures.images.length}`,
    )
  }
  return {
    count: faces.length,
    positive: async () => adapter.project(concatenate(faces), { states: await pictures.encode(), shortcut }),
    negative: async () => adapter.project(float32(shape), { states: await pictures.encodeNothing(), shortcut }),
  }
}
