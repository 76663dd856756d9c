import { describe, expect, test } from 'vitest'
import { float32 } from '../tensor/tensor.ts'
import { buildDecoderGraph, buildEncoderGraph, scaleLatents } from './autoencoder-kl.ts'
import { parseAutoencoderConfig, spatialFactor } from './autoencoder-kl-config.ts'

const BLOCKS = {
  block_out_channels: [32, 32, 64],
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D'],
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D', 'UpDecoderBlock2D'],
}

test('an empty config is AutoencoderKL with its defaults', () => {
  expect(parseAutoencoderConfig({})).toEqual({
    inChannels: 3,
    outChannels: 3,
    latentChannels: 4,
    blockOutChannels: [64],
    layersPerBlock: 1,
    normGroups: 32,
    midBlockAddAttention: true,
    useQuantConv: true,
    usePostQuantConv: true,
    scalingFactor: 0.18215,
    latentsMean: null,
    latentsStd: null,
    forceUpcast: true,
    sampleSize: [32, 32],
  })
})

describe('what cannot be built is refused by name', () => {
  test.each([
    [{ act_fn: 'gelu' }, 'act_fn: expected "silu" or "swish" (anything else is not supported), found "gelu"'],
    [{ shift_factor: 0.1159 }, 'shift_factor: expected null'],
    [{ down_block_types: ['AttnDownEncoderBlock2D'] }, 'down_block_types: expected "DownEncoderBlock2D"'],
    [{ up_block_types: ['AttnUpDecoderBlock2D'] }, 'up_block_types: expected "UpDecoderBlock2D"'],
    [{ ...BLOCKS, down_block_types: ['DownEncoderBlock2D'] }, 'down_block_types: expected a list of 3, one per block'],
    [{ norm_num_groups: 48 }, 'norm_num_groups: expected a divisor of every block_out_channels (64), found 48'],
    [{ latents_mean: [0, 0] }, 'latents_mean: expected a list of 4'],
    [{ use_quant_conv: null }, 'use_quant_conv: expected true or false, found null'],
  ])('%j', (json, message) => {
    expect(() => parseAutoencoderConfig(json)).toThrow(`AutoencoderKL config: ${message}`)
  })
})

test('sides that the latents cannot stand for are refused', () => {
  const config = parseAutoencoderConfig(BLOCKS)
  expect(spatialFactor(config)).toBe(4)
  for (const build of [buildDecoderGraph, buildEncoderGraph]) {
    expect(() => build(config, { batch: 1, height: 64, width: 66 })).toThrow(
      'a picture for this autoencoder has sides that are multiples of 4, got 66×64',
    )
  }
})

test('latents are scaled by the factor, and by mean and deviation per channel where a config has them', () => {
  const z = float32([2, 2, 1, 2], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8))
  const plain = parseAutoencoderConfig({ latent_channels: 2, scaling_factor: 0.5 })
  expect([...scaleLatents(plain, z).data]).toEqual([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4])
  const spread = { latent_channels: 2, scaling_factor: 0.5, latents_mean: [1, 2], latents_std: [1, 0.5] }
  expect([...scaleLatents(parseAutoencoderConfig(spread), z).data]).toEqual([0, 0.5, 1, 2, 2, 2.5, 5, 6])
})
