/** Configs that are read off tensors, against the published configs that those tensors were made by. */
import { describe, expect, test } from 'vitest'
import { checkWeights } from '../../src/checkpoint/check-weights.ts'
import {
  autoencoderConfig,
  controlNetConfig,
  textEncoderConfig,
  unetConfig,
} from '../../src/checkpoint/config-from-shapes.ts'
import { structureOfDiffusers, structureOfLdm, unetNames } from '../../src/checkpoint/ldm-keys.ts'
import { partsOf } from '../../src/checkpoint/single-file-parts.ts'
import { partTensors } from '../../src/checkpoint/single-file-tensors.ts'
import { EngineError } from '../../src/errors/engine-error.ts'
import type { TensorEntry, WeightFile } from '../../src/formats/stored-tensor.ts'
import { buildDecoderGraph, buildEncoderGraph } from '../../src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig } from '../../src/models/autoencoder-kl-config.ts'
import { parseControlNetConfig } from '../../src/models/controlnet-config.ts'
import { buildControlImageGraph, buildControlNetGraph } from '../../src/models/controlnet-model.ts'
import { buildUNetGraph } from '../../src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../src/models/unet-2d-condition-config.ts'

const SHAPE = { batch: 1, height: 8, width: 8, tokens: 77 }
const SD15 = { cross_attention_dim: 768, attention_head_dim: 8, sample_size: 64 }
const SDXL = {
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  attention_head_dim: [5, 10, 20],
  block_out_channels: [320, 640, 1280],
  cross_attention_dim: 2048,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  projection_class_embeddings_input_dim: 2816,
  sample_size: 128,
  transformer_layers_per_block: [1, 2, 10],
  up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  use_linear_projection: true,
}

describe('UNets', () => {
  test.each([
    ['SD1.5', SD15],
    ['SD1.5 for inpainting', { ...SD15, in_channels: 9 }],
    ['distilled for consistency', { ...SD15, time_cond_proj_dim: 256 }],
    [
      'SD2.1',
      { cross_attention_dim: 1024, attention_head_dim: [5, 10, 20, 20], use_linear_projection: true, sample_size: 96 },
    ],
    ['SDXL', SDXL],
    [
      'SDXL with fewer layers, by resnet (SSD-1B)',
      {
        ...SDXL,
        mid_block_type: 'UNetMidBlock2D',
        transformer_layers_per_block: [1, [2, 2], [4, 4]],
        reverse_transformer_layers_per_block: [[4, 4, 10], [2, 1, 1], 1],
      },
    ],
    ['one resnet in a level', { ...SD15, layers_per_block: 1 }],
    ['no middle block', { ...SD15, mid_block_type: null }],
  ])('%s', (_, json) => {
    const config = parseUNetConfig(json)
    const { weights } = buildUNetGraph(config, SHAPE)
    expect(parseUNetConfig(unetConfig(weights))).toEqual(config)
    const names = unetNames(structureOfDiffusers(weights.keys()))
    const keys = [...weights.keys()].filter((key) => !key.includes('cond_proj'))
    const ldm = keys.map((key) => names.toLdm(key) ?? '')
    expect(ldm.map((key) => names.toDiffusers(key))).toEqual(keys)
    expect(structureOfLdm(ldm)).toEqual(structureOfDiffusers(keys))
  })
})

test.each([
  ['SD1.5', SD15],
  ['SDXL', { ...SDXL, up_block_types: undefined }],
  [
    'SDXL, small, without attention',
    {
      ...SDXL,
      up_block_types: undefined,
      down_block_types: ['DownBlock2D', 'DownBlock2D', 'DownBlock2D'],
      mid_block_type: 'UNetMidBlock2D',
      transformer_layers_per_block: [0, 0, 0],
    },
  ],
  [
    'with another control picture',
    { ...SD15, conditioning_channels: 6, conditioning_embedding_out_channels: [16, 32, 64] },
  ],
])('a ControlNet: %s', (_, json) => {
  const config = parseControlNetConfig(json)
  const graphs = [buildControlNetGraph(config, SHAPE), buildControlImageGraph(config, 64, 64)]
  const weights = new Map(graphs.flatMap((graph) => [...graph.weights]))
  const found = parseControlNetConfig(controlNetConfig(weights))
  expect({ ...found, encoder: found.encoder.downBlocks }).toEqual({ ...config, encoder: config.encoder.downBlocks })
  expect(found.encoder.midBlock).toEqual(config.encoder.midBlock)
})

test('an autoencoder', () => {
  const config = parseAutoencoderConfig({
    block_out_channels: [128, 256, 512, 512],
    down_block_types: new Array(4).fill('DownEncoderBlock2D'),
    up_block_types: new Array(4).fill('UpDecoderBlock2D'),
    layers_per_block: 2,
    use_quant_conv: false,
  })
  const graphs = [buildDecoderGraph(config, SHAPE), buildEncoderGraph(config, SHAPE)]
  const weights = new Map(graphs.flatMap((graph) => [...graph.weights]))
  expect(parseAutoencoderConfig(autoencoderConfig(weights))).toEqual(config)
})

/** A file of the original layout in which tensors are missing, misshapen or called something else. */
function damagedFile(random: (below: number) => number): WeightFile {
  const { weights } = buildUNetGraph(
    parseUNetConfig({
      ...SD15,
      block_out_channels: [32, 64],
      down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
      up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
    }),
    SHAPE,
  )
  const names = unetNames(structureOfDiffusers(weights.keys()))
  const tensors = new Map<string, TensorEntry>()
  const lacking = random(40)
  for (const [key, { shape }] of weights) {
    if (random(40) < lacking) continue
    const ldm = `model.diffusion_model.${names.toLdm(key)}`
    const renamed = random(30) === 0 ? ldm.replace(/\d+/, String(2 ** random(33))) : ldm
    const sizes = random(30) === 0 ? shape.slice(random(3)) : random(30) === 0 ? shape.map(() => random(3)) : shape
    tensors.set(renamed, { dtype: 'F32', shape: sizes, offset: 0, length: 0 })
  }
  return { path: 'damaged.ckpt', size: 0, tensors, metadata: {} }
}

test('a tensor that tells a size and is missing is named', () => {
  const missing = (key: string) => `${key} is missing or misshapen: an incomplete save or download`
  expect(() => unetConfig(new Map())).toThrow(missing('conv_in.weight'))
  expect(() => autoencoderConfig(new Map())).toThrow(missing('decoder.conv_out.weight'))
  const token = 'text_model.embeddings.token_embedding.weight'
  expect(() => textEncoderConfig(new Map([[token, { shape: [9] }]]), 'gelu')).toThrow(missing(token))
})

test('damaged files are refused in a sentence', () => {
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
  let refused = 0
  for (let round = 0; round < 120; round++) {
    const file = damagedFile(random)
    try {
      const part = partsOf(file).get('unet')
      if (!part) throw new Error('there is no UNet in the file')
      const tensors = partTensors(file, 'unet', part)
      const graph = buildUNetGraph(parseUNetConfig(unetConfig(tensors)), SHAPE)
      checkWeights({ name: 'unet', source: file.path, files: [], tensors, identity: '' }, [graph])
    } catch (error) {
      expect(error).toBeInstanceOf(EngineError)
      expect((error as Error).message.length).toBeLessThan(1500)
      refused++
    }
  }
  expect(refused).toBe(120)
})
