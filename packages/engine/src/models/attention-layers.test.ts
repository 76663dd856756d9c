import { describe, expect, test } from 'vitest'
import { SDXL_UNET } from '../../test/fixtures/sdxl-unet.ts'
import { attentionLayers, levelSizes } from './attention-layers.ts'
import { parseUNetConfig } from './unet-2d-condition-config.ts'

describe('attentions', () => {
  test('of SD1.5 end with the mid block, whose cross-attention is number 31', () => {
    const layers = attentionLayers(parseUNetConfig({}))
    const channels = layers.filter(({ kind }) => kind === 'cross').map((layer) => layer.channels)
    expect(channels).toEqual([320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 1280])
    expect(layers[31]).toMatchObject({
      path: 'mid_block.attentions.0.transformer_blocks.0.attn2',
      part: 'mid',
      level: 3,
    })
    expect(layers[13]).toMatchObject({ path: 'up_blocks.1.attentions.0.transformer_blocks.0.attn2', level: 2 })
  })

  test('of SDXL are 140, the mid block’s cross-attentions 121 … 139', () => {
    const layers = attentionLayers(parseUNetConfig(SDXL_UNET))
    const middle = layers.flatMap(({ kind, part }, id) => (part === 'mid' && kind === 'cross' ? [id] : []))
    expect(layers.length).toBe(140)
    expect(middle).toEqual([121, 123, 125, 127, 129, 131, 133, 135, 137, 139])
  })
})

test.each([
  [
    1,
    [
      [13, 7],
      [7, 4],
      [4, 2],
    ],
  ],
  [
    0,
    [
      [13, 7],
      [6, 3],
      [3, 1],
    ],
  ],
])('levels with a padding of %i halve odd sizes as the convolutions do', (downsamplePadding, sizes) => {
  const { downBlocks } = parseUNetConfig(SDXL_UNET)
  const found = levelSizes({ downBlocks, downsamplePadding }, 13, 7).map(({ height, width }) => [height, width])
  expect(found).toEqual(sizes)
})
