/**
 * Tiny models of diffusers' own tests, rebuilt from torch's seeded initialisation: nothing but a seed and nine published numbers,
 * so that neither our fixtures nor our reading of their files can hide an error.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeSafetensors } from '../../src/formats/safetensors.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { buildDecoderGraph, buildEncoderGraph } from '../../src/models/autoencoder-kl.ts'
import { parseAutoencoderConfig } from '../../src/models/autoencoder-kl-config.ts'
import { buildUNetGraph } from '../../src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../src/models/unet-2d-condition-config.ts'
import { TorchGenerator } from '../../src/random/torch-generator.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { elementCount, type FloatTensor, float32, type Tensor } from '../../src/tensor/tensor.ts'
import { ModelRunner, toleranceHere } from './model-case.ts'
import { orderByPrefix, seededWeights } from './seeded-weights.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

/** Largest difference over largest value: torch's kernels add in another order. */
const TOLERANCE = toleranceHere(2e-5)

async function weightsOf(graphs: readonly Graph[], order: readonly string[]) {
  const keys = orderByPrefix(new Set(graphs.flatMap((graph) => [...graph.weights.keys()])), order)
  const tensors = seededWeights(graphs, keys, new TorchGenerator(0))
  const folder = await mkdtemp(join(tmpdir(), 'seeded-'))
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  const count = Object.values(tensors).reduce((sum, { shape }) => sum + elementCount(shape), 0)
  const weights = await runner.weightFile(join(folder, 'model.safetensors'), graphs)
  return { weights, count, remove: () => rm(folder, { recursive: true }) }
}

/** `tensor[0, -1, -3:, -3:]` flattened. */
function corner({ shape, data }: FloatTensor): number[] {
  const [, channels, height, width] = shape as [number, number, number, number]
  const start = (channels - 1) * height * width
  const rows = [height - 3, height - 2, height - 1]
  return rows.flatMap((y) => Array.from(data.slice(start + y * width + width - 3, start + (y + 1) * width)))
}

function sum({ data }: FloatTensor): number {
  return data.reduce((total, value) => total + value, 0)
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  const vector = (values: readonly number[]) => float32([values.length], Float32Array.from(values))
  expect(relativeError(vector(actual), vector(expected))).toBeLessThan(TOLERANCE)
}

test('the UNet of seed 0 predicts the published noise', async () => {
  const config = parseUNetConfig({
    block_out_channels: [4, 8],
    layers_per_block: 1,
    cross_attention_dim: 8,
    norm_num_groups: 2,
    down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'],
    up_block_types: ['CrossAttnUpBlock2D', 'UpBlock2D'],
  })
  const graph = buildUNetGraph(config, { batch: 1, height: 16, width: 16 })
  const { weights, count, remove } = await weightsOf([graph], ['conv_in', 'time_embedding', ''])
  expect(count).toBe(16_928)
  const generator = new TorchGenerator(0)
  const feeds = new Map<string, Tensor>([
    ['sample', generator.randn([1, 4, 16, 16])],
    ['encoder_hidden_states', generator.randn([1, 77, 8])],
    ['timestep', float32([1], Float32Array.of(500))],
  ])
  const { noise_pred } = await runner.run(graph, weights, feeds)
  await remove()
  const expected = [
    0.0255432, 0.0547264, 0.1243755, -0.2474167, 0.3035872, -0.1087351, -0.1671472, -0.0321649, -0.1965437,
  ]
  expectClose(corner(noise_pred as FloatTensor), expected)
  expect(sum(noise_pred as FloatTensor)).toBeCloseTo(-71.7010382, 3)
})

test('the autoencoder of seed 0 decodes and encodes to the published values', async () => {
  const config = parseAutoencoderConfig({
    block_out_channels: [4, 8],
    norm_num_groups: 2,
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    scaling_factor: 1,
  })
  const size = { batch: 1, height: 32, width: 32 }
  const [decoder, encoder] = [buildDecoderGraph(config, size), buildEncoderGraph(config, size)]
  const order = ['encoder', 'decoder', 'quant_conv', 'post_quant_conv']
  const { weights, count, remove } = await weightsOf([encoder, decoder], order)
  expect(count).toBe(11_827)
  const latents = new TorchGenerator(0).randn([1, 4, 16, 16])
  const { image } = await runner.run(decoder, weights, new Map([['latents', latents]]))
  const { mean } = await runner.run(encoder, weights, new Map([['image', image as FloatTensor]]))
  await remove()
  const expected = [0.0563852, -0.0713057, 0.0606551, 0.6524529, 0.5499061, 0.1510249, 0.0240024, 0.1967877, 0.348462]
  expectClose(corner(image as FloatTensor), expected)
  expect(sum(image as FloatTensor)).toBeCloseTo(141.0938135, 3)
  expectClose(Array.from((mean as FloatTensor).data.slice(0, 4)), [0.1495175, 0.1623984, 0.0944776, 0.0610979])
})
