import { ModelConfigError } from '../config/config-fields.ts'
import type { Shape } from '../tensor/tensor.ts'
import { RESAMPLER_HEAD_CHANNELS, type ResamplerConfig } from './perceiver-resampler.ts'

/**
 * How an image prompt's features become tokens beside a text prompt's.
 *
 * - `linear`: IP-Adapter; of `image_embeds` [B, imageChannels].
 * - `full`: IP-Adapter full-face; of `hidden_states[-2]` [B, L, imageChannels], one token for each.
 * - `resampler`: IP-Adapter Plus and Plus-face, of `hidden_states[-2]`; InstantID, of a face embedding [B, 1, 512].
 * - `face-id`: IP-Adapter FaceID and its portrait form; of a face embedding [B, imageChannels].
 * - `face-id-plus`: of a face embedding [B, faceChannels] and `hidden_states[-2]` of the face.
 */
export type ImageProjectionConfig =
  | { readonly kind: 'linear'; readonly imageChannels: number; readonly channels: number; readonly tokens: number }
  | { readonly kind: 'full'; readonly imageChannels: number; readonly channels: number }
  | {
      readonly kind: 'resampler'
      readonly resampler: ResamplerConfig
      readonly channels: number
      readonly tokens: number
    }
  | {
      readonly kind: 'face-id'
      readonly imageChannels: number
      readonly hiddenChannels: number
      readonly channels: number
      readonly tokens: number
    }
  | {
      readonly kind: 'face-id-plus'
      readonly faceChannels: number
      readonly hiddenChannels: number
      readonly resampler: ResamplerConfig
      readonly channels: number
      readonly tokens: number
    }

/**
 * Numbers that tell faces apart (ArcFace). InstantID's file has the keys of IP-Adapter Plus's, whose resampler reads the states of a vision encoder: that these
 * are fewer than any CLIP vision encoder has (ViT-L 1024, ViT-H 1280, ViT-bigG 1664) is what tells one from the other.
 */
const FACE_CHANNELS = 512

/** What of a picture a projection is made of: what an image encoder sees in it, whose face it shows, or both. */
export interface ProjectionSources {
  readonly pictures: boolean
  readonly faces: boolean
}

export function projectionSources(config: ImageProjectionConfig): ProjectionSources {
  switch (config.kind) {
    case 'linear':
    case 'full':
      return { pictures: true, faces: false }
    case 'resampler': {
      const faces = config.resampler.imageChannels === FACE_CHANNELS
      return { pictures: !faces, faces }
    }
    case 'face-id':
      return { pictures: false, faces: true }
    case 'face-id-plus':
      return { pictures: true, faces: true }
  }
}

/** Tokens of IP-Adapter's linear projection; its file does not tell them from their channels. */
const LINEAR_TOKENS = 4

/** The shapes under `image_proj` of an IP-Adapter file. */
export type ProjectionShapes = ReadonlyMap<string, Shape>

/**
 * What an IP-Adapter file's projection is, by the keys that are there, in the order in which diffusers looks for them
 * (loaders/unet.py, `_convert_ip_adapter_image_proj_to_diffusers`).
 * @param shapes by key without the prefix `image_proj.`
 * @param name what error messages call the file
 * @throws ModelConfigError for keys of none of the kinds
 */
export function detectImageProjection(shapes: ProjectionShapes, name: string): ImageProjectionConfig {
  const size = (key: string, axis: number, unit = 1): number => {
    const found = shapes.get(key)?.[axis]
    if (found !== undefined && found > 0 && found % unit === 0) return found / unit
    const expected = unit === 1 ? 'a size' : `a multiple of ${unit}`
    throw new ModelConfigError(
      `${name}: axis ${axis} of image_proj.${key} must be ${expected}, found ${found ?? 'none'}`,
    )
  }
  if (shapes.has('proj.weight')) {
    const channels = size('proj.weight', 0, LINEAR_TOKENS)
    return { kind: 'linear', imageChannels: size('proj.weight', 1), channels, tokens: LINEAR_TOKENS }
  }
  if (shapes.has('proj.3.weight')) {
    return { kind: 'full', imageChannels: size('proj.0.weight', 0), channels: size('proj.3.weight', 0) }
  }
  if (shapes.has('perceiver_resampler.proj_in.weight')) {
    const resampler = resamplerConfig(shapes, 'perceiver_resampler.', size)
    return {
      kind: 'face-id-plus',
      faceChannels: size('proj.0.weight', 1),
      hiddenChannels: size('proj.0.weight', 0),
      resampler,
      channels: resampler.outChannels,
      tokens: size('proj.2.weight', 0, resampler.channels),
    }
  }
  if (shapes.has('norm.weight')) {
    const channels = size('norm.weight', 0)
    return {
      kind: 'face-id',
      imageChannels: size('proj.0.weight', 1),
      hiddenChannels: size('proj.0.weight', 0),
      channels,
      tokens: size('proj.2.weight', 0, channels),
    }
  }
  if (shapes.has('latents')) {
    const resampler = resamplerConfig(shapes, '', size)
    return { kind: 'resampler', resampler, channels: resampler.outChannels, tokens: size('latents', 1) }
  }
  throw new ModelConfigError(
    `${name}: image_proj has keys of no IP-Adapter that is known (base, full-face, Plus, FaceID, FaceID-Plus, InstantID): ` +
      `${[...shapes.keys()].slice(0, 4).join(', ') || 'none at all'}`,
  )
}

function resamplerConfig(
  shapes: ProjectionShapes,
  prefix: string,
  size: (key: string, axis: number, unit?: number) => number,
): ResamplerConfig {
  const layers = new Set(
    [...shapes.keys()].flatMap((key) => /^layers\.(\d+)\./.exec(key.slice(prefix.length))?.[1] ?? []),
  )
  return {
    imageChannels: size(`${prefix}proj_in.weight`, 1),
    channels: size(`${prefix}proj_in.weight`, 0),
    outChannels: size(`${prefix}proj_out.weight`, 0),
    heads: size(`${prefix}layers.0.0.to_q.weight`, 0, RESAMPLER_HEAD_CHANNELS),
    layers: layers.size,
  }
}
