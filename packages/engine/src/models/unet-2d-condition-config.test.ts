import { describe, expect, test } from 'vitest'
import { parseUNetConfig } from './unet-2d-condition-config.ts'

const TWO_LEVELS = {
  block_out_channels: [32, 64],
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'],
  up_block_types: ['CrossAttnUpBlock2D', 'UpBlock2D'],
}

test('an empty config is UNet2DConditionModel with its defaults', () => {
  expect(parseUNetConfig({})).toEqual({
    inChannels: 4,
    outChannels: 4,
    sampleSize: null,
    centerInputSample: false,
    convInKernel: 3,
    convOutKernel: 3,
    timeProjChannels: 320,
    timeEmbedChannels: 1280,
    flipSinToCos: true,
    freqShift: 0,
    timeCondProjChannels: null,
    textTime: null,
    normGroups: 32,
    normEpsilon: 1e-5,
    downsamplePadding: 1,
    useLinearProjection: false,
    crossAttentionChannels: 1280,
    downBlocks: [
      { channels: 320, resnets: 2, crossAttention: { heads: 8, layers: [1, 1] } },
      { channels: 640, resnets: 2, crossAttention: { heads: 8, layers: [1, 1] } },
      { channels: 1280, resnets: 2, crossAttention: { heads: 8, layers: [1, 1] } },
      { channels: 1280, resnets: 2, crossAttention: null },
    ],
    midBlock: { outputScaleFactor: 1, crossAttention: { heads: 8, layers: [1] } },
    upBlocks: [
      { channels: 1280, resnets: 3, crossAttention: null },
      { channels: 1280, resnets: 3, crossAttention: { heads: 8, layers: [1, 1, 1] } },
      { channels: 640, resnets: 3, crossAttention: { heads: 8, layers: [1, 1, 1] } },
      { channels: 320, resnets: 3, crossAttention: { heads: 8, layers: [1, 1, 1] } },
    ],
  })
})

test('per-block lists run against the up path', () => {
  const { downBlocks, midBlock, upBlocks } = parseUNetConfig({
    ...TWO_LEVELS,
    down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
    up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
    layers_per_block: [1, 2],
    attention_head_dim: [2, 4],
    transformer_layers_per_block: [1, 3],
  })
  expect(downBlocks.map(({ crossAttention }) => crossAttention)).toEqual([
    { heads: 2, layers: [1] },
    { heads: 4, layers: [3, 3] },
  ])
  expect(midBlock?.crossAttention).toEqual({ heads: 4, layers: [3] })
  expect(upBlocks.map(({ crossAttention }) => crossAttention)).toEqual([
    { heads: 4, layers: [3, 3, 3] },
    { heads: 2, layers: [1, 1] },
  ])
})

test('num_attention_heads, where given, is the number of heads', () => {
  const config = parseUNetConfig({ ...TWO_LEVELS, attention_head_dim: 8, num_attention_heads: [1, 16] })
  expect(config.downBlocks[1]?.crossAttention?.heads).toBe(16)
  expect(parseUNetConfig({ ...TWO_LEVELS, num_attention_heads: null }).midBlock?.crossAttention?.heads).toBe(8)
})

test('mid_block_type null means no middle block', () => {
  expect(parseUNetConfig({ mid_block_type: null }).midBlock).toBeNull()
  expect(parseUNetConfig({ mid_block_type: 'UNetMidBlock2D' }).midBlock?.crossAttention).toBeNull()
})

test('leftovers of training and version notes are ignored', () => {
  const leftovers = {
    _name_or_path: 'x',
    _diffusers_version: '0.6.0',
    decay: 0.9999,
    dropout: 0.1,
    upcast_attention: true,
  }
  expect(parseUNetConfig(leftovers)).toEqual(parseUNetConfig({}))
})

describe('options that would change the model are refused by name', () => {
  test.each([
    ['act_fn', 'gelu'],
    ['only_cross_attention', true],
    ['only_cross_attention', [false, true]],
    ['mid_block_only_cross_attention', true],
    ['dual_cross_attention', true],
    ['class_embed_type', 'projection'],
    ['num_class_embeds', 1000],
    ['class_embeddings_concat', true],
    ['addition_embed_type', 'image'],
    ['encoder_hid_dim', 768],
    ['encoder_hid_dim_type', 'text_proj'],
    ['resnet_time_scale_shift', 'scale_shift'],
    ['resnet_skip_time_act', true],
    ['resnet_out_scale_factor', 1.4],
    ['time_embedding_type', 'fourier'],
    ['time_embedding_act_fn', 'silu'],
    ['timestep_post_act', 'silu'],
    ['attention_type', 'gated'],
    ['cross_attention_norm', 'layer_norm'],
    ['mid_block_type', 'UNetMidBlock2DSimpleCrossAttn'],
    ['down_block_types', ['AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D', 'DownBlock2D']],
    ['up_block_types', ['UpBlock2D', 'UpBlock2D', 'UpBlock2D', 'SkipUpBlock2D']],
  ])('%s: %j', (name, value) => {
    expect(() => parseUNetConfig({ [name]: value })).toThrow(`UNet2DConditionModel config: ${name}: expected`)
  })
})

describe('malformed fields are named', () => {
  test.each([
    [{ in_channels: '4' }, 'in_channels: expected a positive integer, found "4"'],
    [{ in_channels: null }, 'in_channels: expected a positive integer, found null'],
    [{ norm_eps: 'small' }, 'norm_eps: expected a number, found "small"'],
    [{ use_linear_projection: 1 }, 'use_linear_projection: expected true or false, found 1'],
    [{ block_out_channels: [] }, 'block_out_channels: expected a list, found []'],
    [{ block_out_channels: [320, 330, 640, 640] }, 'norm_num_groups: expected a divisor of every block_out_channels'],
    [{ norm_num_groups: null }, 'norm_num_groups: expected a positive integer, found null'],
    [{ layers_per_block: [1, 2] }, 'layers_per_block: expected a list of 4, one per block, found [1,2]'],
    [{ down_block_types: ['DownBlock2D'] }, 'down_block_types: expected a list of 4, one per block'],
    [
      { attention_head_dim: 7 },
      'attention_head_dim: expected a divisor of the 320 channels of a block with attention, found 7',
    ],
    [{ cross_attention_dim: [768, 768, 768, 1024] }, 'cross_attention_dim: expected one width for all blocks'],
    [{ conv_in_kernel: 4 }, 'conv_in_kernel: expected an odd number, found 4'],
    [{ transformer_layers_per_block: [1, [1, 2], 1, 1] }, 'reverse_transformer_layers_per_block: expected a list'],
    [
      { transformer_layers_per_block: [1, [1], 1, 1], reverse_transformer_layers_per_block: [1, 1, 1, 1] },
      'transformer_layers_per_block: expected 2 entries for a block of 2 resnets, found [1]',
    ],
    [{ addition_embed_type: 'text_time' }, 'addition_time_embed_dim: expected an even number'],
    [
      { addition_embed_type: 'text_time', addition_time_embed_dim: 256, projection_class_embeddings_input_dim: 1536 },
      'projection_class_embeddings_input_dim: expected more than the 1536 channels',
    ],
  ])('%j', (json, message) => {
    expect(() => parseUNetConfig(json)).toThrow(message)
  })

  test('no object at all', () => {
    expect(() => parseUNetConfig([])).toThrow('UNet2DConditionModel config: expected a JSON object, found []')
  })
})
