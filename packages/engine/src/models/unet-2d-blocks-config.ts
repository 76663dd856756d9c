import type { ConfigFields } from '../config/config-fields.ts'
import { defined } from '../tensor/defined.ts'
import { isCount } from '../tensor/tensor.ts'

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

export interface UNetBlocksConfig {
  /** From the full size down. */
  readonly downBlocks: readonly UNetBlockConfig[]
  /** null: the model has no middle block. */
  readonly midBlock: { readonly outputScaleFactor: number; readonly crossAttention: CrossAttentionConfig | null } | null
  /** From the deepest up. */
  readonly upBlocks: readonly UNetBlockConfig[]
}

const DOWN_BLOCK_TYPES = ['CrossAttnDownBlock2D', 'DownBlock2D'] as const
const DEFAULT_DOWN = ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'] as const
const UP_BLOCK_TYPES = ['CrossAttnUpBlock2D', 'UpBlock2D'] as const
const DEFAULT_UP = ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'] as const
const MID_BLOCK_TYPES = ['UNetMidBlock2DCrossAttn', 'UNetMidBlock2D'] as const

const DOWN_LAYERS = 'transformer_layers_per_block'
const UP_LAYERS = 'reverse_transformer_layers_per_block'

/** Transformer blocks of one level: the same after each resnet, or listed by resnet. */
type Layers = number | readonly number[]

/**
 * The blocks of a UNet2DConditionModel's config, its per-block lists spelled out.
 * @param channels `block_out_channels`
 * @throws ModelConfigError for a malformed field or a block type that is not supported
 */
export function parseUNetBlocks(fields: ConfigFields, channels: readonly number[]): UNetBlocksConfig {
  const count = channels.length
  const resnets = fields.sizePerBlock('layers_per_block', 2, count)
  const heads = fields.sizePerBlock(headsField(fields), 8, count)
  const downLayers = downTransformerLayers(fields, count)
  const upLayers = upTransformerLayers(fields, downLayers)
  const attention = (level: number, layers: readonly number[]): CrossAttentionConfig => ({
    heads: divisorOf(fields, defined(channels[level]), defined(heads[level])),
    layers,
  })

  const downBlocks = blockTypes(fields, 'down_block_types', DOWN_BLOCK_TYPES, DEFAULT_DOWN, count).map(
    (type, level) => {
      const size = { channels: defined(channels[level]), resnets: defined(resnets[level]) }
      if (type === 'DownBlock2D') return { ...size, crossAttention: null }
      const layers = layersOfBlock(fields, DOWN_LAYERS, defined(downLayers[level]), size.resnets)
      return { ...size, crossAttention: attention(level, layers) }
    },
  )
  const upBlocks = blockTypes(fields, 'up_block_types', UP_BLOCK_TYPES, DEFAULT_UP, count).map((type, i) => {
    const level = count - 1 - i
    const size = { channels: defined(channels[level]), resnets: defined(resnets[level]) + 1 }
    if (type === 'UpBlock2D') return { ...size, crossAttention: null }
    const layers = layersOfBlock(fields, UP_LAYERS, defined(upLayers[i]), size.resnets)
    return { ...size, crossAttention: attention(level, layers) }
  })
  if (fields.value('mid_block_type') === null) return { downBlocks, midBlock: null, upBlocks }
  const midLayers = layersOfBlock(fields, DOWN_LAYERS, defined(downLayers.at(-1)), 1)
  const hasAttention = fields.oneOf('mid_block_type', MID_BLOCK_TYPES, MID_BLOCK_TYPES[0]) === MID_BLOCK_TYPES[0]
  const midBlock = {
    outputScaleFactor: fields.number('mid_block_scale_factor', 1),
    crossAttention: hasAttention ? attention(count - 1, midLayers) : null,
  }
  return { downBlocks, midBlock, upBlocks }
}

function blockTypes<Type extends string>(
  fields: ConfigFields,
  name: string,
  types: readonly Type[],
  fallback: readonly Type[],
  count: number,
): Type[] {
  const isType = (item: unknown): item is Type => types.includes(item as Type)
  const found = fields.value(name)
  if (Array.isArray(found) && !found.every(isType)) throw fields.error(name, `only ${types.join(' and ')}`, found)
  return fields.list(name, fallback, isType, count)
}

/** Zero is written for levels without attention. */
function isLayers(item: unknown): item is Layers {
  return isCount(item) || (Array.isArray(item) && item.length > 0 && item.every(isCount))
}

function downTransformerLayers(fields: ConfigFields, count: number): readonly Layers[] {
  const value = fields.value(DOWN_LAYERS)
  // Zero is written for models without attention, such as small SDXL ControlNets.
  if (value === 0) return new Array<number>(count).fill(0)
  if (!Array.isArray(value)) return fields.sizePerBlock(DOWN_LAYERS, 1, count)
  return fields.list<Layers>(DOWN_LAYERS, [], isLayers, count)
}

/** In the order of the up path. */
function upTransformerLayers(fields: ConfigFields, down: readonly Layers[]): readonly Layers[] {
  if ((fields.value(UP_LAYERS) ?? null) !== null) return fields.list<Layers>(UP_LAYERS, [], isLayers, down.length)
  if (down.every((layers) => typeof layers === 'number')) return down.toReversed()
  throw fields.error(UP_LAYERS, `a list, because ${DOWN_LAYERS} is nested`, null)
}

function layersOfBlock(fields: ConfigFields, name: string, layers: Layers, resnets: number): readonly number[] {
  if (typeof layers === 'number') return new Array<number>(resnets).fill(layers)
  if (layers.length < resnets) throw fields.error(name, `${resnets} entries for a block of ${resnets} resnets`, layers)
  return layers.slice(0, resnets)
}

/** `attention_head_dim` is, in spite of its name, the number of heads (huggingface/diffusers#2011). */
function headsField(fields: ConfigFields): string {
  return (fields.value('num_attention_heads') ?? null) === null ? 'attention_head_dim' : 'num_attention_heads'
}

function divisorOf(fields: ConfigFields, channels: number, heads: number): number {
  if (channels % heads === 0) return heads
  throw fields.error(headsField(fields), `a divisor of the ${channels} channels of a block with attention`, heads)
}
