/** The published models at full size: every tensor that their checkpoints have, and no other. No weights are needed. */
import { expect, test } from 'vitest'
import type { Graph } from '../graph/graph.ts'
import { DYNAMIC, elementCount } from '../tensor/tensor.ts'
import { attentionLayers } from './attention-layers.ts'
import { buildDecoderGraph, buildEncoderGraph } from './autoencoder-kl.ts'
import { parseAutoencoderConfig } from './autoencoder-kl-config.ts'
import { buildTextEncoderGraph } from './clip-text.ts'
import { parseClipTextConfig } from './clip-text-config.ts'
import { parseControlNetConfig } from './controlnet-config.ts'
import { smallestControlNetGraphs } from './controlnet-model.ts'
import { detectImageProjection } from './image-projection-config.ts'
import { buildIPAdapterGraph } from './ip-adapter-projections.ts'
import { skipShapes } from './skip-shapes.ts'
import { buildUNetGraph } from './unet-2d-condition.ts'
import { parseUNetConfig } from './unet-2d-condition-config.ts'

function size(...graphs: readonly Graph[]): { tensors: number; parameters: number } {
  const shapes = new Map(graphs.flatMap((graph) => [...graph.weights]))
  const parameters = [...shapes.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0)
  return { tensors: shapes.size, parameters }
}

const SD15_UNET = {
  _class_name: 'UNet2DConditionModel',
  attention_head_dim: 8,
  block_out_channels: [320, 640, 1280, 1280],
  cross_attention_dim: 768,
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  sample_size: 64,
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
}

const SDXL_UNET = {
  _class_name: 'UNet2DConditionModel',
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  attention_head_dim: [5, 10, 20],
  block_out_channels: [320, 640, 1280],
  class_embed_type: null,
  cross_attention_dim: 2048,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  num_attention_heads: null,
  only_cross_attention: false,
  projection_class_embeddings_input_dim: 2816,
  sample_size: 128,
  transformer_layers_per_block: [1, 2, 10],
  up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  upcast_attention: null,
  use_linear_projection: true,
}

test('the SD1.5 UNet', () => {
  const graph = buildUNetGraph(parseUNetConfig(SD15_UNET), { batch: 2, height: 64, width: 64 })
  expect(size(graph)).toEqual({ tensors: 686, parameters: 859_520_964 })
  expect(graph.inputs.map(({ name, shape }) => [name, shape])).toEqual([
    ['sample', [2, 4, 64, 64]],
    ['timestep', [1]],
    ['encoder_hidden_states', [2, DYNAMIC, 768]],
  ])
  expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([['noise_pred', [2, 4, 64, 64]]])
})

test('the SD1.5 UNet distilled for consistency has one tensor more', () => {
  const config = parseUNetConfig({ ...SD15_UNET, time_cond_proj_dim: 256 })
  const graph = buildUNetGraph(config, { batch: 1, height: 64, width: 64 })
  expect(size(graph)).toEqual({ tensors: 687, parameters: 859_520_964 + 320 * 256 })
  expect(graph.inputs.find(({ name }) => name === 'timestep_cond')?.shape).toEqual([1, 256])
})

test('the SDXL UNet', () => {
  const graph = buildUNetGraph(parseUNetConfig(SDXL_UNET), { batch: 2, height: 96, width: 128 })
  expect(size(graph)).toEqual({ tensors: 1680, parameters: 2_567_463_684 })
  expect(graph.inputs.slice(3).map(({ name, shape }) => [name, shape])).toEqual([
    ['text_embeds', [2, 1280]],
    ['time_ids', [2, 6]],
  ])
})

test.each([
  ['SD1.5', { ...SD15_UNET, _class_name: 'ControlNetModel' }, { tensors: 340, parameters: 361_279_120 }, 13],
  ['SDXL', { ...SDXL_UNET, _class_name: 'ControlNetModel' }, { tensors: 844, parameters: 1_251_014_160 }, 10],
  [
    'SDXL, small',
    {
      ...SDXL_UNET,
      _class_name: 'ControlNetModel',
      down_block_types: ['DownBlock2D', 'DownBlock2D', 'DownBlock2D'],
      mid_block_type: 'UNetMidBlock2D',
    },
    { tensors: 124, parameters: 125_690_640 },
    10,
  ],
])('the ControlNet of %s', (_, json, expected, residuals) => {
  const config = parseControlNetConfig(json)
  const graphs = smallestControlNetGraphs(config)
  expect(size(...graphs)).toEqual(expected)
  expect(graphs[1]?.outputs.length).toBe(residuals)
  expect(skipShapes(config.encoder, 64, 64).length).toBe(residuals)
})

test('the IP-Adapter of SD1.5, 44.6 MB in half precision', () => {
  const layers = attentionLayers(parseUNetConfig(SD15_UNET))
  const shapes = new Map([['proj.weight', [4 * 768, 1024]]])
  const graph = buildIPAdapterGraph(detectImageProjection(shapes, 'ip-adapter_sd15'), layers, { batch: 1, length: 1 })
  expect(size(graph)).toEqual({ tensors: 4 + 2 * 16, parameters: 22_319_616 })
  expect([...graph.weights.keys()].at(-1)).toBe('ip_adapter.31.to_v_ip.weight')
})

test("InstantID's IP-Adapter, 1.69 GB", () => {
  const layers = attentionLayers(parseUNetConfig(SDXL_UNET))
  const shapes = new Map([
    ['latents', [1, 16, 1280]],
    ['proj_in.weight', [1280, 512]],
    ['proj_out.weight', [2048, 1280]],
    ...[0, 1, 2, 3].map((i) => [`layers.${i}.0.to_q.weight`, [1280, 1280]] as [string, number[]]),
  ] as [string, number[]][])
  const graph = buildIPAdapterGraph(detectImageProjection(shapes, 'instantid'), layers, { batch: 2, length: 1 })
  expect(size(graph)).toEqual({ tensors: 1 + 2 + 4 + 4 * 11 + 2 * 70, parameters: 422_765_824 })
  expect([...graph.weights.keys()].at(-1)).toBe('ip_adapter.139.to_v_ip.weight')
})

test('the autoencoder of SD1.5 and SDXL', () => {
  const config = parseAutoencoderConfig({
    block_out_channels: [128, 256, 512, 512],
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D'],
    latent_channels: 4,
    layers_per_block: 2,
    norm_num_groups: 32,
    sample_size: 512,
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D', 'UpDecoderBlock2D', 'UpDecoderBlock2D'],
  })
  const options = { batch: 1, height: 512, width: 768 }
  const [decoder, encoder] = [buildDecoderGraph(config, options), buildEncoderGraph(config, options)]
  expect(size(decoder, encoder)).toEqual({ tensors: 248, parameters: 83_653_863 })
  expect(decoder.inputs[0]?.shape).toEqual([1, 4, 64, 96])
  expect(decoder.outputs[0]?.shape).toEqual([1, 3, 512, 768])
  expect(encoder.outputs.map(({ name, shape }) => [name, shape])).toEqual([
    ['mean', [1, 4, 64, 96]],
    ['logvar', [1, 4, 64, 96]],
  ])
})

test('the text encoder of SD1.5, the first of SDXL', () => {
  const config = parseClipTextConfig({
    eos_token_id: 2,
    hidden_act: 'quick_gelu',
    hidden_size: 768,
    intermediate_size: 3072,
    num_attention_heads: 12,
    num_hidden_layers: 12,
    projection_dim: 768,
    vocab_size: 49408,
  })
  const graph = buildTextEncoderGraph(config, { batch: 1, outputs: ['last_hidden_state'] })
  expect(size(graph)).toEqual({ tensors: 196, parameters: 123_060_480 })
  expect(graph.outputs[0]?.shape).toEqual([1, 77, 768])
})

test('the second text encoder of SDXL', () => {
  const config = parseClipTextConfig({
    eos_token_id: 2,
    hidden_act: 'gelu',
    hidden_size: 1280,
    intermediate_size: 5120,
    num_attention_heads: 20,
    num_hidden_layers: 32,
    projection_dim: 1280,
  })
  const graph = buildTextEncoderGraph(config, { batch: 2, outputs: ['text_embeds', 'hidden_states.-2'] })
  expect(size(graph)).toEqual({ tensors: 517, parameters: 694_659_840 })
  expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([
    ['text_embeds', [2, 1280]],
    ['hidden_states.-2', [2, 77, 1280]],
  ])
})
