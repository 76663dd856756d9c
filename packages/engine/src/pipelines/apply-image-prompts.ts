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
import { defined } from '../tensor/defined.ts'
import { concatenate, dimensions, type FloatTensor, float32, map, rows } from '../tensor/tensor.ts'
import { expandBlockScales } from './block-scales.ts'
import { featureSource, type ImagePromptParameters } from './image-prompt-features.ts'
import type { ProjectedImages } from './ip-adapter.ts'
import { ParameterError } from './parameter-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

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
  const nothing = async (times: number) =>
    scaleAndJoin((await negative()).keysAndValues, scales, (t) => joinRows(t, times))
  if (!masks) {
    const joined = scaleAndJoin(positive.keysAndValues, scales, (t) => joinRows(t, 1))
    return [{ positive: joined, negative: once(() => nothing(count)) }]
  }
  return masks.map((mask, i) => ({
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
  const [n, length, channels] = dimensions(tensor.shape, 3)
  const joined = float32([1, n * length, channels], tensor.data)
  return concatenate(new Array<FloatTensor>(times).fill(joined), 1)
}

function scalesOf({ adapter, scale = 1, scaleByBlock }: ImagePromptParameters, parameter: string): Map<string, number> {
  if (scaleByBlock) return expandBlockScales(scaleByBlock, adapter.layers, parameter)
  return new Map(adapter.layers.map(({ path }) => [path, scale]))
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
  return Array.from({ length: count }, (_, i) => defined(made[made.length === 1 ? 0 : i]))
}
