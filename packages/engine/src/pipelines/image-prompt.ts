import type { ControlTokens } from '../adapters/controlnet-adapter.ts'
import {
  ImagePromptAdapter,
  type ImagePromptGroup,
  type ImagePromptMask,
  type KeysAndValues,
} from '../adapters/image-prompt-adapter.ts'
import type { UNetAdapter } from '../adapters/unet-adapter.ts'
import { binarize, rgbToGrey } from '../image/grey.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { TorchGenerator } from '../random/torch-generator.ts'
import { concatenate, type FloatTensor, float32, map, rows } from '../tensor/tensor.ts'
import { type BlockScales, expandBlockScales } from './block-scales.ts'
import type { ImageEncoder, ImageFeatures } from './image-encoder.ts'
import type { IPAdapter, ProjectedImages } from './ip-adapter.ts'
import { ParameterError } from './parameter-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

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

/** What applies image prompts to a model's UNet for one request. */
export interface AppliedImagePrompts {
  readonly adapter: UNetAdapter
  /** Tokens of each image prompt, for ControlNets that attend to them (InstantID's IdentityNet). */
  readonly tokens: readonly ControlTokens[]
}

/**
 * Encodes the pictures of image prompts, once per request.
 * @param size of the picture that is drawn, pixels
 * @throws ParameterError naming `ip_adapter.<index>.<field>` for pictures, masks or scales that do not fit the adapter
 */
export async function applyImagePrompts(
  { unet, vae }: StableDiffusion,
  prompts: readonly ImagePromptParameters[],
  size: { readonly width: number; readonly height: number },
): Promise<AppliedImagePrompts> {
  const groups: ImagePromptGroup[] = []
  const tokens: ControlTokens[] = []
  for (const [i, prompt] of prompts.entries()) {
    const name = (field: string) => `ip_adapter.${i}.${field}`
    const source = featureSource(prompt, name)
    const scales = scalesOf(prompt, name('scaleByBlock'))
    const masks = promptMasks(prompt, source.count, size, name('masks'))
    const positive = await source.positive()
    let negative: Promise<ProjectedImages> | undefined
    const nothing = async () => {
      negative ??= source.negative()
      return negative
    }
    groups.push(...groupsOf(positive, nothing, scales, source.count, masks))
    const negativeTokens = async () => joinRows((await nothing()).tokens, source.count)
    tokens.push({ positive: joinRows(positive.tokens, 1), negative: negativeTokens })
  }
  return { adapter: new ImagePromptAdapter(unet.config, groups, vae.factor), tokens }
}

/** One group of all pictures, or with masks one of each. */
function groupsOf(
  positive: ProjectedImages,
  negative: () => Promise<ProjectedImages>,
  scales: ReadonlyMap<string, number>,
  count: number,
  masks: readonly ImagePromptMask[] | undefined,
): ImagePromptGroup[] {
  const tokens = positive.tokens.shape[1] as number
  const nothing = async (times: number) =>
    scaleAndJoin((await negative()).keysAndValues, scales, (t) => joinRows(t, times))
  if (!masks) {
    const joined = scaleAndJoin(positive.keysAndValues, scales, (t) => joinRows(t, 1))
    return [{ tokens: count * tokens, positive: joined, negative: once(() => nothing(count)) }]
  }
  return masks.map((mask, i) => ({
    tokens,
    positive: scaleAndJoin(positive.keysAndValues, scales, (t) => rows(t, i, i + 1)),
    negative: once(() => nothing(1)),
    mask,
  }))
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

function scaleAndJoin(
  keysAndValues: KeysAndValues,
  scales: ReadonlyMap<string, number>,
  join: (tensor: FloatTensor) => FloatTensor,
): KeysAndValues {
  return new Map(
    [...keysAndValues].map(([path, { key, value }]) => {
      const scale = Math.fround(scales.get(path) ?? 0)
      return [path, { key: join(key), value: map((v) => v * scale, join(value)) }]
    }),
  )
}

/** [N, T, C] → [1, N·T, C], all of it `times` times. */
function joinRows(tensor: FloatTensor, times: number): FloatTensor {
  const [n, length, channels] = tensor.shape as [number, number, number]
  const joined = float32([1, n * length, channels], tensor.data)
  return concatenate(new Array<FloatTensor>(times).fill(joined), 1)
}

function scalesOf({ adapter, scale = 1, scaleByBlock }: ImagePromptParameters, parameter: string): Map<string, number> {
  if (scaleByBlock) return expandBlockScales(scaleByBlock, adapter.layers, parameter)
  return new Map(adapter.layers.map(({ path }) => [path, scale]))
}

/** How an adapter's pictures and their absence are projected. */
interface FeatureSource {
  /** Pictures. */
  readonly count: number
  /** One row for each picture. */
  positive(): Promise<ProjectedImages>
  /** One row, which stands for each picture. */
  negative(): Promise<ProjectedImages>
}

type FieldName = (field: string) => string

function featureSource(prompt: ImagePromptParameters, name: FieldName): FeatureSource {
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
    count: images.length,
    positive: async () => adapter.project(await encode()),
    negative: async () => adapter.project(await encodeNothing()),
  }
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
  const size = shape.at(-1) as number
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

/** Masks as diffusers' IPAdapterMaskProcessor makes them: resized (Lanczos), grey, white from one half on. */
function promptMasks(
  { masks, maskResampling: resampling = 'bicubic' }: ImagePromptParameters,
  count: number,
  { width, height }: { readonly width: number; readonly height: number },
  parameter: string,
): ImagePromptMask[] | undefined {
  if (!masks || masks.length === 0) return undefined
  if (masks.length !== 1 && masks.length !== count) {
    throw new ParameterError(parameter, `must be one, or one for each of the ${count} pictures, got ${masks.length}`)
  }
  const made = masks.map((mask) => {
    const { data } = binarize(rgbToGrey(resizeRgb(mask, width, height, 'lanczos')))
    return {
      mask: float32(
        [height, width],
        Float32Array.from(data, (value) => value / 255),
      ),
      resampling,
    }
  })
  return Array.from({ length: count }, (_, i) => made[made.length === 1 ? 0 : i] as ImagePromptMask)
}
