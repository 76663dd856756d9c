/**
 * Configs that a single file does not have, read off its tensors. What no shape tells (the number of heads, the groups of a norm, an
 * activation) is what every published model of the kind has. All throw a CheckpointError that names the tensor where one that tells is missing.
 */
import type { Shape } from '../tensor/tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'
import type { JsonObject } from './json-file.ts'

/** Tensors by diffusers' keys, as far as their shapes. */
export type Shapes = ReadonlyMap<string, { readonly shape: Shape }>

/** SD1.x: eight heads of any width; since then heads 64 wide (diffusers calls the number of heads `attention_head_dim`). */
const SD1_HEADS = 8
const HEAD_WIDTH = 64

/** The config.json of a UNet2DConditionModel. */
export function unetConfig(shapes: Shapes): JsonObject {
  const down = blocksOf(shapes, 'down_blocks')
  const up = blocksOf(shapes, 'up_blocks')
  const upLayers = up.map(({ layers }) => layers)
  const expected = down.map(({ layers }) => layers).toReversed()
  return {
    ...encoderConfig(shapes, down),
    out_channels: size(shapes, 'conv_out.weight', 0),
    up_block_types: up.map(({ hasAttention }) => (hasAttention ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
    ...(upLayers.some((layers, i) => up[i]?.hasAttention && String(layers) !== String(expected[i])) && {
      reverse_transformer_layers_per_block: upLayers,
    }),
  }
}

/** The config.json of a ControlNetModel. */
export function controlNetConfig(shapes: Shapes): JsonObject {
  const hint = 'controlnet_cond_embedding'
  const blocks = indices(shapes, new RegExp(`^${hint}\\.blocks\\.(\\d+)\\.weight$`))
  return {
    _class_name: 'ControlNetModel',
    ...encoderConfig(shapes, blocksOf(shapes, 'down_blocks')),
    conditioning_channels: size(shapes, `${hint}.conv_in.weight`, 1),
    conditioning_embedding_out_channels: [
      size(shapes, `${hint}.conv_in.weight`, 0),
      ...blocks.filter((i) => i % 2 === 1).map((i) => size(shapes, `${hint}.blocks.${i}.weight`, 0)),
    ],
  }
}

interface Block {
  readonly channels: number
  readonly resnets: number
  readonly hasAttention: boolean
  /** Transformer blocks behind each resnet: one number where they agree. */
  readonly layers: number | readonly number[]
}

function blocksOf(shapes: Shapes, side: 'down_blocks' | 'up_blocks'): Block[] {
  return indices(shapes, new RegExp(`^${side}\\.(\\d+)\\.`)).map((i) => {
    const path = `${side}.${i}`
    const resnets = indices(shapes, new RegExp(`^${side}\\.${i}\\.resnets\\.(\\d+)\\.`))
    const layers = indices(shapes, new RegExp(`^${side}\\.${i}\\.attentions\\.(\\d+)\\.`)).map((j) =>
      transformerBlocks(shapes, `${path}.attentions.${j}`),
    )
    return {
      channels: size(shapes, `${path}.resnets.0.conv1.weight`, 0),
      resnets: resnets.length,
      hasAttention: layers.length > 0,
      layers: layers.every((count) => count === layers[0]) ? (layers[0] ?? 1) : layers,
    }
  })
}

function transformerBlocks(shapes: Shapes, path: string): number {
  const escaped = path.replaceAll('.', '\\.')
  return indices(shapes, new RegExp(`^${escaped}\\.transformer_blocks\\.(\\d+)\\.`)).length
}

/** What UNets and ControlNets share. */
function encoderConfig(shapes: Shapes, down: readonly Block[]): JsonObject {
  const channels = down.map((block) => block.channels)
  const key = [...shapes.keys()].find((name) => name.endsWith('.attn2.to_k.weight'))
  const projection = [...shapes.keys()].find((name) => name.endsWith('.proj_in.weight'))
  const isLinear = projection !== undefined && shapes.get(projection)?.shape.length === 2
  const pooled = shapes.get('add_embedding.linear_1.weight')?.shape[1]
  const guidance = shapes.get('time_embedding.cond_proj.weight')?.shape[1]
  const context = key === undefined ? undefined : size(shapes, key, 1)
  const resnets = down.map((block) => block.resnets)
  return {
    in_channels: size(shapes, 'conv_in.weight', 1),
    block_out_channels: channels,
    layers_per_block: resnets.every((count) => count === resnets[0]) ? resnets[0] : resnets,
    down_block_types: down.map(({ hasAttention }) => (hasAttention ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    mid_block_type: middleBlock(shapes),
    transformer_layers_per_block: down.map(({ layers }) => layers),
    use_linear_projection: isLinear,
    attention_head_dim: isLinear ? channels.map((width) => Math.max(1, Math.floor(width / HEAD_WIDTH))) : SD1_HEADS,
    sample_size: pooled !== undefined ? 128 : context === 1024 ? 96 : 64,
    ...(context !== undefined && { cross_attention_dim: context }),
    ...(guidance !== undefined && { time_cond_proj_dim: guidance }),
    ...(pooled !== undefined && {
      addition_embed_type: 'text_time',
      addition_time_embed_dim: 256,
      projection_class_embeddings_input_dim: pooled,
    }),
  }
}

function middleBlock(shapes: Shapes): string | null {
  const has = (part: string) => [...shapes.keys()].some((key) => key.startsWith(`mid_block.${part}`))
  return has('attentions.0.') ? 'UNetMidBlock2DCrossAttn' : has('resnets.0.') ? 'UNetMidBlock2D' : null
}

/** The config.json of an AutoencoderKL, except its `scaling_factor` and `sample_size`, which depend on the family. */
export function autoencoderConfig(shapes: Shapes): JsonObject {
  const levels = indices(shapes, /^decoder\.up_blocks\.(\d+)\./)
  const channels = levels.map((i) => size(shapes, `decoder.up_blocks.${i}.resnets.0.conv1.weight`, 0)).toReversed()
  return {
    in_channels: shapes.get('encoder.conv_in.weight')?.shape[1] ?? 3,
    out_channels: size(shapes, 'decoder.conv_out.weight', 0),
    latent_channels: size(shapes, 'decoder.conv_in.weight', 1),
    block_out_channels: channels,
    down_block_types: channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: channels.map(() => 'UpDecoderBlock2D'),
    layers_per_block: indices(shapes, /^decoder\.up_blocks\.0\.resnets\.(\d+)\./).length - 1,
    use_quant_conv: shapes.has('quant_conv.weight'),
    use_post_quant_conv: shapes.has('post_quant_conv.weight'),
  }
}

/**
 * The config.json of a CLIP text encoder.
 * @param activation OpenAI's models have the fast approximation, OpenCLIP's do not
 */
export function textEncoderConfig(shapes: Shapes, activation: 'quick_gelu' | 'gelu'): JsonObject {
  const token = 'text_model.embeddings.token_embedding.weight'
  const width = size(shapes, token, 1)
  return {
    vocab_size: size(shapes, token, 0),
    hidden_size: width,
    intermediate_size: size(shapes, 'text_model.encoder.layers.0.mlp.fc1.weight', 0),
    num_hidden_layers: indices(shapes, /^text_model\.encoder\.layers\.(\d+)\./).length,
    num_attention_heads: Math.max(1, Math.floor(width / HEAD_WIDTH)),
    max_position_embeddings: size(shapes, 'text_model.embeddings.position_embedding.weight', 0),
    hidden_act: activation,
    projection_dim: shapes.get('text_projection.weight')?.shape[0] ?? width,
    // As in every published checkpoint: the end of a text is its largest id.
    eos_token_id: 2,
  }
}

/** @throws CheckpointError where there is no such tensor, or it has fewer dimensions */
function size(shapes: Shapes, key: string, dimension: number): number {
  const found = shapes.get(key)?.shape[dimension]
  if (found === undefined) throw new CheckpointError(`${key} is missing or misshapen: an incomplete save or download`)
  return found
}

/** The different numbers that a pattern finds in the keys, in order. */
function indices(shapes: Shapes, pattern: RegExp): number[] {
  const found = new Set<number>()
  for (const key of shapes.keys()) {
    const index = pattern.exec(key)?.[1]
    if (index !== undefined) found.add(Number(index))
  }
  return [...found].sort((a, b) => a - b)
}
