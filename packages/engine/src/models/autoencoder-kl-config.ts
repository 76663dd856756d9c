import { ConfigFields, isFiniteNumber, isSize } from '../config/config-fields.ts'

/** An AutoencoderKL. */
export interface AutoencoderConfig {
  readonly inChannels: number
  readonly outChannels: number
  readonly latentChannels: number
  /** Channels per level, the full-size one first; each level but the first halves the size. */
  readonly blockOutChannels: readonly number[]
  /** Resnets per encoder level; decoder levels have one more. */
  readonly layersPerBlock: number
  readonly normGroups: number
  readonly midBlockAddAttention: boolean
  readonly useQuantConv: boolean
  readonly usePostQuantConv: boolean
  /** latents = (z − latentsMean) · scalingFactor / latentsStd; mean 0 and deviation 1 where they are null. */
  readonly scalingFactor: number
  readonly latentsMean: readonly number[] | null
  readonly latentsStd: readonly number[] | null
  /** Whether its values leave float16's range, so that it runs in float32 where all else runs in float16; true unless a config denies it. */
  readonly forceUpcast: boolean
  /** Native picture size in pixels, [height, width]. */
  readonly sampleSize: readonly [number, number]
}

/**
 * Reads the config.json of a diffusers AutoencoderKL, with that class's defaults.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseAutoencoderConfig(json: unknown): AutoencoderConfig {
  const fields = new ConfigFields('AutoencoderKL config', json)
  fields.refuse('act_fn', 'silu', 'swish')
  fields.refuse('shift_factor', null)
  const blockOutChannels = fields.list('block_out_channels', [64], isSize)
  for (const [name, type] of [
    ['down_block_types', 'DownEncoderBlock2D'],
    ['up_block_types', 'UpDecoderBlock2D'],
  ] as const) {
    fields.refuse(name, type)
    fields.list(name, [type], (item): item is string => item === type, blockOutChannels.length)
  }
  const normGroups = fields.size('norm_num_groups', 32)
  if (blockOutChannels.some((channels) => channels % normGroups)) {
    throw fields.error('norm_num_groups', `a divisor of every block_out_channels (${blockOutChannels})`, normGroups)
  }
  const latentChannels = fields.size('latent_channels', 4)
  const perChannel = (name: string) =>
    (fields.value(name) ?? null) === null ? null : fields.list(name, [], isFiniteNumber, latentChannels)
  const [height, width] = fields.sizePerBlock('sample_size', 32, 2) as [number, number]
  return {
    inChannels: fields.size('in_channels', 3),
    outChannels: fields.size('out_channels', 3),
    latentChannels,
    blockOutChannels,
    layersPerBlock: fields.size('layers_per_block', 1),
    normGroups,
    midBlockAddAttention: fields.boolean('mid_block_add_attention', true),
    useQuantConv: fields.boolean('use_quant_conv', true),
    usePostQuantConv: fields.boolean('use_post_quant_conv', true),
    scalingFactor: fields.number('scaling_factor', 0.18215),
    latentsMean: perChannel('latents_mean'),
    latentsStd: perChannel('latents_std'),
    forceUpcast: fields.boolean('force_upcast', true),
    sampleSize: [height, width],
  }
}

/** Pixels per latent along each side. */
export function spatialFactor(config: AutoencoderConfig): number {
  return 2 ** (config.blockOutChannels.length - 1)
}
