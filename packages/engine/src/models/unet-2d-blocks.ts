/** The blocks of a UNet2DConditionModel (diffusers models/unets/unet_2d_blocks.py). */

import type { Value } from '../graph/graph.ts'
import { concat } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { downsample2D, resnetBlock2D, upsample2D } from './resnet.ts'
import { type CrossAttentionContext, transformer2D } from './transformer-2d.ts'
import type { CrossAttentionConfig, UNetBlockConfig } from './unet-2d-blocks-config.ts'
import type { UNetConfig } from './unet-2d-condition-config.ts'

/** What reaches every block beside the picture. */
export interface Conditioning extends CrossAttentionContext {
  /** [B or 1, time channels] */
  readonly temb: Value
}

export type BlockNorm = Pick<UNetConfig, 'normGroups' | 'normEpsilon' | 'useLinearProjection'>

/**
 * DownBlock2D and CrossAttnDownBlock2D.
 * @param downsamplePadding undefined for the last block, which keeps its size
 * @returns the state after each resnet and after the downsampler: the skips, the last of which goes on
 */
export function downBlock2D(
  scope: Scope,
  x: Value,
  conditioning: Conditioning,
  block: UNetBlockConfig,
  config: BlockNorm,
  downsamplePadding: number | undefined,
): Value[] {
  const states: Value[] = []
  let h = x
  for (let i = 0; i < block.resnets; i++) {
    h = resnetAndAttention(scope, i, h, conditioning, block, config)
    states.push(h)
  }
  if (downsamplePadding !== undefined) states.push(downsample2D(scope.child('downsamplers.0'), h, downsamplePadding))
  return states
}

/** UNetMidBlock2DCrossAttn: resnet, transformer, resnet; and UNetMidBlock2D as a UNet uses it: one resnet. */
export function midBlock2D(
  scope: Scope,
  x: Value,
  conditioning: Conditioning,
  block: NonNullable<UNetConfig['midBlock']>,
  config: BlockNorm,
): Value {
  const resnetConfig = {
    outChannels: defined(x.shape[1]),
    groups: config.normGroups,
    epsilon: config.normEpsilon,
    outputScaleFactor: block.outputScaleFactor,
  }
  const h = resnetBlock2D(scope.child('resnets.0'), x, conditioning.temb, resnetConfig)
  if (!block.crossAttention) return h
  const attended = blockAttention(scope, 0, h, conditioning, block.crossAttention, config)
  return resnetBlock2D(scope.child('resnets.1'), attended, conditioning.temb, resnetConfig)
}

/**
 * UpBlock2D and CrossAttnUpBlock2D.
 * @param skips one per resnet, in the order in which the down path made them; taken from the end
 * @param upsampleTo size of the next block; undefined for the last block
 */
export function upBlock2D(
  scope: Scope,
  x: Value,
  skips: readonly Value[],
  conditioning: Conditioning,
  block: UNetBlockConfig,
  config: BlockNorm,
  upsampleTo: readonly [number, number] | undefined,
): Value {
  let h = x
  skips.toReversed().forEach((skip, i) => {
    h = resnetAndAttention(scope, i, concat([h, skip], 1), conditioning, block, config)
  })
  return upsampleTo ? upsample2D(scope.child('upsamplers.0'), h, upsampleTo) : h
}

function resnetAndAttention(
  scope: Scope,
  i: number,
  x: Value,
  conditioning: Conditioning,
  block: UNetBlockConfig,
  config: BlockNorm,
): Value {
  const h = resnetBlock2D(scope.child(`resnets.${i}`), x, conditioning.temb, {
    outChannels: block.channels,
    groups: config.normGroups,
    epsilon: config.normEpsilon,
  })
  return block.crossAttention ? blockAttention(scope, i, h, conditioning, block.crossAttention, config) : h
}

function blockAttention(
  scope: Scope,
  i: number,
  x: Value,
  conditioning: Conditioning,
  crossAttention: CrossAttentionConfig,
  config: BlockNorm,
): Value {
  return transformer2D(scope.child(`attentions.${i}`), x, conditioning, {
    heads: crossAttention.heads,
    layers: defined(crossAttention.layers[i]),
    groups: config.normGroups,
    useLinearProjection: config.useLinearProjection,
  })
}
