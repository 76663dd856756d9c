import type { Value } from '../graph/graph.ts'
import { add, div, padRightBottom, reshape, scalar, silu, upsampleNearest } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'

export interface ResnetConfig {
  readonly outChannels: number
  readonly groups: number
  readonly epsilon: number
  /** The sum of both branches is divided by this; default 1. */
  readonly outputScaleFactor?: number
}

/**
 * diffusers' ResnetBlock2D (models/resnet.py) with `time_embedding_norm="default"`.
 * @param x [B, C, H, W]
 * @param temb [B or 1, T], the time embedding before its activation; undefined in autoencoders
 * @returns [B, outChannels, H, W]
 */
export function resnetBlock2D(scope: Scope, x: Value, temb: Value | undefined, config: ResnetConfig): Value {
  // x ─ norm1 ─ silu ─ conv1 ─(+ temb)─ norm2 ─ silu ─ conv2 ─(+)─ out      and x ─ [conv_shortcut] ─(+)
  const { outChannels, groups, epsilon, outputScaleFactor = 1 } = config
  let h = scope.child('conv1').conv2d(silu(scope.child('norm1').groupNorm(x, groups, epsilon)), outChannels)
  if (temb) {
    const shift = scope.child('time_emb_proj').linear(silu(temb), outChannels)
    h = add(h, reshape(shift, [-1, outChannels, 1, 1]))
  }
  h = scope.child('conv2').conv2d(silu(scope.child('norm2').groupNorm(h, groups, epsilon)), outChannels)
  const shortcut = x.shape[1] === outChannels ? x : scope.child('conv_shortcut').conv2d(x, outChannels, { kernel: 1 })
  const sum = add(h, shortcut)
  return outputScaleFactor === 1 ? sum : div(sum, scalar(sum, outputScaleFactor))
}

/**
 * diffusers' Downsample2D with a convolution: half the size.
 * @param padding zeros on every side; 0 means one row and column at the right and at the bottom, as autoencoders do
 */
export function downsample2D(scope: Scope, x: Value, padding: number): Value {
  const padded = padding === 0 ? padRightBottom(x, 1, 1) : x
  return scope.child('conv').conv2d(padded, defined(x.shape[1]), { stride: 2, padding })
}

/** diffusers' Upsample2D with a convolution: nearest neighbour to [height, width], then the convolution. */
export function upsample2D(scope: Scope, x: Value, [height, width]: readonly [number, number]): Value {
  return scope.child('conv').conv2d(upsampleNearest(x, height, width), defined(x.shape[1]))
}
