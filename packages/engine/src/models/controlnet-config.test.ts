import { expect, test } from 'vitest'
import { parseControlNetConfig } from './controlnet-config.ts'

test('an empty config is ControlNetModel with its defaults', () => {
  const config = parseControlNetConfig({})
  expect(config).toMatchObject({
    conditioningChannels: 3,
    conditioningOutChannels: [16, 32, 96, 256],
    channelOrder: 'rgb',
    globalPool: false,
  })
  expect(config.encoder.downBlocks.map(({ channels }) => channels)).toEqual([320, 640, 1280, 1280])
})

test('the way down of SDXL needs no words about a way up', () => {
  const { encoder } = parseControlNetConfig({
    block_out_channels: [320, 640, 1280],
    down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
    attention_head_dim: [5, 10, 20],
    transformer_layers_per_block: [1, 2, 10],
  })
  expect(encoder.downBlocks.map(({ crossAttention }) => crossAttention?.layers)).toEqual([undefined, [2, 2], [10, 10]])
  expect(encoder.midBlock?.crossAttention?.layers).toEqual([10])
})

test.each([
  [{ _class_name: 'ControlNetUnionModel' }, /Union ControlNets are not supported.*found "ControlNetUnionModel"/],
  [{ _class_name: 'ControlNetModel', num_control_type: 6 }, /Union ControlNets are not supported/],
  [{ _class_name: 'ControlNetXSAdapter' }, /_class_name: expected ControlNetModel, found "ControlNetXSAdapter"/],
  [{ _class_name: 'UNet2DConditionModel' }, /_class_name: expected ControlNetModel/],
  [{ mid_block_type: null }, /mid_block_type: expected a middle block/],
  [{ class_embed_type: 'timestep' }, /^ControlNetModel config: class_embed_type/],
  [{ controlnet_conditioning_channel_order: 'grb' }, /expected "rgb" or "bgr"/],
])('%j is refused', (json, message) => {
  expect(() => parseControlNetConfig(json)).toThrow(message)
})
