import { ConfigFields, isSize } from './config-fields.ts'

/** Where the resnets of a block are followed by transformers. */
export interface CrossAttentionConfig {
  readonly heads: number
  /** Transformer blocks after each resnet of the block. */
  readonly layers: readonly number[]
}

/** One level of the down or up path. */
export interface UNetBlockConfig {
  readonly channels: number
  readonly resnets: number
  readonly crossAttention: CrossAttentionConfig | null
}

/** `addition_embed_type: "text_time"` (SDXL): pooled text and the picture's sizes join the timestep. */
export interface TextTimeConfig {
  /** Width of the sinusoid of each of the six time ids. */
  readonly timeIdChannels: number
  /** Width of `text_embeds` and the six sinusoids together. */
  readonly channels: number
}

/** A UNet2DConditionModel, its per-block lists spelled out. */
export interface UNetConfig {
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
  readonly downBlocks: readonly UNetBlockConfig[]
  /** null: the model has no middle block. */
  readonly midBlock: { readonly outputScaleFactor: number; readonly crossAttention: CrossAttentionConfig | null } | null
  readonly upBlocks: readonly UNetBlockConfig[]
}

const DOWN_BLOCK_TYPES = ['CrossAttnDownBlock2D', 'DownBlock2D'] as const
const UP_BLOCK_TYPES = ['CrossAttnUpBlock2D', 'UpBlock2D'] as const
const MID_BLOCK_TYPES = ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'] as const

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
export function parseUNetConfig(json: unknown): UNetConfig {
  const fields = new ConfigFields('UNet2DConditionModel config', json)
  for (const [name, inert] of Object.entries(REFUSED)) fields.refuse(name, ...inert)
  const channels = fields.list('block_out_channels', [320, 640, 1280, 1280], isSize)
  const normGroups = fields.size('norm_num_groups', 32)
  const indivisible = channels.find((c) => c % normGroups !== 0)
  if (indivisible)
    throw fields.error('norm_num_groups', `a divisor of every block_out_channels (${channels})`, normGroups)
  const timeProjChannels = channels[0] as number
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
    ...blocks(fields, channels),
  }
}

function blocks(
  fields: ConfigFields,
  channels: readonly number[],
): Pick<UNetConfig, 'downBlocks' | 'midBlock' | 'upBlocks'> {
  const count = channels.length
  const downTypes = blockTypes(fields, 'down_block_types', DOWN_BLOCK_TYPES, [0, 0, 0, 1], count)
  const upTypes = blockTypes(fields, 'up_block_types', UP_BLOCK_TYPES, [1, 0, 0, 0], count)
  const layers = fields.sizePerBlock('layers_per_block', 2, count)
  const headCounts = heads(fields, channels)
  const [downTransformers, upTransformers] = transformerLayers(fields, count)

  const block = (
    level: number,
    type: string,
    resnets: number,
    transformers: Layers,
    name: string,
  ): UNetBlockConfig => ({
    channels: channels[level] as number,
    resnets,
    crossAttention: type.startsWith('CrossAttn')
      ? { heads: headCounts[level] as number, layers: layersOf(fields, name, transformers, resnets) }
      : null,
  })
  const downBlocks = downTypes.map((type, i) =>
    block(i, type, layers[i] as number, downTransformers[i] as Layers, 'transformer_layers_per_block'),
  )
  const upBlocks = upTypes.map((type, i) => {
    const level = count - 1 - i
    const resnets = (layers[level] as number) + 1
    return block(level, type, resnets, upTransformers[i] as Layers, 'reverse_transformer_layers_per_block')
  })
  return { downBlocks, midBlock: midBlock(fields, headCounts, downTransformers), upBlocks }
}

function midBlock(
  fields: ConfigFields,
  heads: readonly number[],
  transformers: readonly Layers[],
): UNetConfig['midBlock'] {
  if (fields.value('mid_block_type') === null) return null
  const type = fields.oneOf('mid_block_type', MID_BLOCK_TYPES, 'UNetMidBlock2DCrossAttn')
  const last = transformers.at(-1) as Layers
  return {
    outputScaleFactor: fields.number('mid_block_scale_factor', 1),
    crossAttention:
      type === 'UNetMidBlock2D'
        ? null
        : { heads: heads.at(-1) as number, layers: [typeof last === 'number' ? last : (last[0] as number)] },
  }
}

function blockTypes<const Type extends string>(
  fields: ConfigFields,
  name: string,
  types: readonly Type[],
  fallback: readonly number[],
  count: number,
): Type[] {
  const isType = (item: unknown): item is Type => types.includes(item as Type)
  const defaults = fallback.map((i) => types[i] as Type)
  const found = fields.value(name)
  if (Array.isArray(found) && !found.every(isType)) throw fields.error(name, `only ${types.join(' and ')}`, found)
  return fields.list(name, defaults, isType, count)
}

/** Transformer blocks of one level: the same after each resnet, or listed by resnet. */
type Layers = number | readonly number[]

function isLayers(item: unknown): item is Layers {
  return isSize(item) || (Array.isArray(item) && item.length > 0 && item.every(isSize))
}

/** `transformer_layers_per_block` of the down and of the up path, each in the order in which the path is walked. */
function transformerLayers(fields: ConfigFields, count: number): readonly [readonly Layers[], readonly Layers[]] {
  const given = fields.value('transformer_layers_per_block')
  const down = Array.isArray(given)
    ? fields.list<Layers>('transformer_layers_per_block', [], isLayers, count)
    : fields.sizePerBlock('transformer_layers_per_block', 1, count)
  if ((fields.value('reverse_transformer_layers_per_block') ?? null) !== null) {
    return [down, fields.list<Layers>('reverse_transformer_layers_per_block', [], isLayers, count)]
  }
  if (down.some((layers) => typeof layers !== 'number')) {
    const expected = 'a list, because transformer_layers_per_block is nested'
    throw fields.error('reverse_transformer_layers_per_block', expected, null)
  }
  return [down, down.toReversed()]
}

function layersOf(fields: ConfigFields, name: string, layers: Layers, resnets: number): readonly number[] {
  if (typeof layers === 'number') return new Array<number>(resnets).fill(layers)
  if (layers.length < resnets) throw fields.error(name, `${resnets} entries for a block of ${resnets} resnets`, layers)
  return layers.slice(0, resnets)
}

/** `attention_head_dim` is, in spite of its name, the number of heads (huggingface/diffusers issue 2011). */
function heads(fields: ConfigFields, channels: readonly number[]): number[] {
  const name = (fields.value('num_attention_heads') ?? null) === null ? 'attention_head_dim' : 'num_attention_heads'
  const counts = fields.sizePerBlock(name, 8, channels.length)
  counts.forEach((count, i) => {
    const width = channels[i] as number
    const blockHasAttention = [fields.value('down_block_types'), fields.value('up_block_types')].some((types, up) => {
      const type = Array.isArray(types) ? types[up ? channels.length - 1 - i : i] : 'CrossAttn'
      return String(type).startsWith('CrossAttn')
    })
    if (blockHasAttention && width % count)
      throw fields.error(name, `a divisor of the ${width} channels of block ${i}`, count)
  })
  return counts
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
