import { ConfigFields, isSize } from '../config/config-fields.ts'
import { defined } from '../tensor/defined.ts'
import { parseUNetBlocks, type UNetBlocksConfig } from './unet-2d-blocks-config.ts'

/** `addition_embed_type: "text_time"` (SDXL): pooled text and the picture's sizes join the timestep. */
export interface TextTimeConfig {
  /** Width of the sinusoid of each of the six time ids. */
  readonly timeIdChannels: number
  /** Width of `text_embeds` and the six sinusoids together. */
  readonly channels: number
}

/** A UNet2DConditionModel, its per-block lists spelled out. */
export interface UNetConfig extends UNetBlocksConfig {
  readonly inChannels: number
  readonly outChannels: number
  /** Native latent size, [height, width]; null where the checkpoint does not say. */
  readonly sampleSize: readonly [number, number] | null
  readonly centerInputSample: boolean
  readonly convInKernel: number
  readonly convOutKernel: number
  readonly timeProjChannels: number
  readonly timeEmbedChannels: number
  readonly flipSinToCos: boolean
  readonly freqShift: number
  /** Width of `timestep_cond`, the guidance embedding of consistency models; null where there is none. */
  readonly timeCondProjChannels: number | null
  readonly textTime: TextTimeConfig | null
  readonly normGroups: number
  readonly normEpsilon: number
  readonly downsamplePadding: number
  readonly useLinearProjection: boolean
  /** Width of `encoder_hidden_states`. */
  readonly crossAttentionChannels: number
}

/** Fields of diffusers' class that are refused unless they have one of these values. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  act_fn: ['silu', 'swish'],
  only_cross_attention: [false],
  mid_block_only_cross_attention: [null, false],
  dual_cross_attention: [false],
  class_embed_type: [null],
  num_class_embeds: [null],
  class_embeddings_concat: [false],
  addition_embed_type: [null, 'text_time'],
  encoder_hid_dim: [null],
  encoder_hid_dim_type: [null],
  resnet_time_scale_shift: ['default'],
  resnet_skip_time_act: [false],
  resnet_out_scale_factor: [1],
  time_embedding_type: ['positional'],
  time_embedding_act_fn: [null],
  timestep_post_act: [null],
  attention_type: ['default'],
  cross_attention_norm: [null],
}

/**
 * Reads the config.json of a diffusers UNet2DConditionModel, with that class's defaults.
 * `dropout` and `upcast_attention` change nothing in float32 inference.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseUNetConfig(json: unknown, component = 'UNet2DConditionModel config'): UNetConfig {
  const fields = new ConfigFields(component, json)
  for (const [name, inert] of Object.entries(REFUSED)) fields.refuse(name, ...inert)
  const channels = fields.list('block_out_channels', [320, 640, 1280, 1280], isSize)
  const normGroups = fields.size('norm_num_groups', 32)
  const indivisible = channels.find((c) => c % normGroups !== 0)
  if (indivisible)
    throw fields.error('norm_num_groups', `a divisor of every block_out_channels (${channels})`, normGroups)
  const timeProjChannels = defined(channels[0])
  if (timeProjChannels % 2) throw fields.error('block_out_channels', 'an even first entry', channels)
  return {
    inChannels: fields.size('in_channels', 4),
    outChannels: fields.size('out_channels', 4),
    sampleSize: sampleSize(fields),
    centerInputSample: fields.boolean('center_input_sample', false),
    convInKernel: oddSize(fields, 'conv_in_kernel'),
    convOutKernel: oddSize(fields, 'conv_out_kernel'),
    timeProjChannels,
    timeEmbedChannels: fields.sizeOrNull('time_embedding_dim') ?? timeProjChannels * 4,
    flipSinToCos: fields.boolean('flip_sin_to_cos', true),
    freqShift: fields.number('freq_shift', 0),
    timeCondProjChannels: fields.sizeOrNull('time_cond_proj_dim'),
    textTime: textTime(fields),
    normGroups,
    normEpsilon: fields.number('norm_eps', 1e-5),
    downsamplePadding: fields.number('downsample_padding', 1),
    useLinearProjection: fields.boolean('use_linear_projection', false),
    crossAttentionChannels: crossAttentionChannels(fields, channels.length),
    ...parseUNetBlocks(fields, channels),
  }
}

/** One width: a list is accepted where its entries agree, because one `encoder_hidden_states` feeds every block. */
function crossAttentionChannels(fields: ConfigFields, blocks: number): number {
  const widths = fields.sizePerBlock('cross_attention_dim', 1280, blocks)
  const [first] = widths as [number]
  if (widths.some((width) => width !== first))
    throw fields.error('cross_attention_dim', 'one width for all blocks', widths)
  return first
}

/** SDXL's six numbers: original height and width, crop top and left, target height and width. */
export const TIME_IDS = 6

function textTime(fields: ConfigFields): TextTimeConfig | null {
  if ((fields.value('addition_embed_type') ?? null) === null) return null
  const timeIdChannels = fields.sizeOrNull('addition_time_embed_dim')
  const channels = fields.sizeOrNull('projection_class_embeddings_input_dim')
  if (timeIdChannels === null || timeIdChannels % 2) {
    throw fields.error('addition_time_embed_dim', 'an even number (addition_embed_type is text_time)', timeIdChannels)
  }
  if (channels === null || channels <= TIME_IDS * timeIdChannels) {
    const expected = `more than the ${TIME_IDS * timeIdChannels} channels of six time ids (addition_embed_type is text_time)`
    throw fields.error('projection_class_embeddings_input_dim', expected, channels)
  }
  return { timeIdChannels, channels }
}

function oddSize(fields: ConfigFields, name: string): number {
  const size = fields.size(name, 3)
  if (size % 2 === 0) throw fields.error(name, 'an odd number', size)
  return size
}

function sampleSize(fields: ConfigFields): readonly [number, number] | null {
  const value = fields.value('sample_size') ?? null
  if (value === null) return null
  const [height, width] = fields.sizePerBlock('sample_size', 1, 2) as [number, number]
  return [height, width]
}
