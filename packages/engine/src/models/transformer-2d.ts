import type { Value } from '../graph/graph.ts'
import { add, gelu, mul, reshape, split, transpose } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions } from '../tensor/tensor.ts'
import { attention } from './attention.ts'
import type { UNetHooks } from './unet-hooks.ts'

/** GroupNorm before the transformer; unlike the resnets', not configurable (models/transformers/transformer_2d.py). */
const NORM_EPSILON = 1e-6

/** What a transformer's cross-attention attends to. */
export interface CrossAttentionContext {
  /** [B, tokens, X] */
  readonly encoderHiddenStates: Value
  readonly hooks?: Pick<UNetHooks, 'crossAttention'>
}

export interface Transformer2DConfig {
  readonly heads: number
  readonly layers: number
  readonly groups: number
  /** Whether proj_in and proj_out are Linear (SDXL) or 1×1 convolutions (SD1.5). */
  readonly useLinearProjection: boolean
}

/**
 * diffusers' Transformer2DModel over continuous input.
 * @param x [B, C, H, W]
 * @returns [B, C, H, W]
 */
export function transformer2D(
  scope: Scope,
  x: Value,
  context: CrossAttentionContext,
  config: Transformer2DConfig,
): Value {
  // x ─ norm ─ proj_in ─ transformer_blocks ─ proj_out ─(+ x)
  const channels = defined(x.shape[1])
  let h = scope.child('norm').groupNorm(x, config.groups, NORM_EPSILON)
  if (config.useLinearProjection) h = scope.child('proj_in').linear(toTokens(h), channels)
  else h = toTokens(scope.child('proj_in').conv2d(h, channels, { kernel: 1 }))
  for (let i = 0; i < config.layers; i++) {
    h = transformerBlock(scope.child(`transformer_blocks.${i}`), h, context, config.heads)
  }
  if (config.useLinearProjection) h = toMap(scope.child('proj_out').linear(h, channels), x)
  else h = scope.child('proj_out').conv2d(toMap(h, x), channels, { kernel: 1 })
  return add(h, x)
}

/** diffusers' BasicTransformerBlock: self-attention, cross-attention and a gated feed-forward, each on a normalised residual. */
function transformerBlock(scope: Scope, x: Value, context: CrossAttentionContext, heads: number): Value {
  const unbiased = { heads, projectionBias: false }
  const self = scope.child('norm1').layerNorm(x)
  let h = add(attention(scope.child('attn1'), self, self, unbiased), x)
  const { encoderHiddenStates, hooks } = context
  const query = scope.child('norm2').layerNorm(h)
  h = add(attention(scope.child('attn2'), query, encoderHiddenStates, unbiased, hooks?.crossAttention), h)
  return add(feedForward(scope.child('ff.net'), scope.child('norm3').layerNorm(h)), h)
}

/** GEGLU (Shazeer 2020): the second half of the projection gates the first, through the exact gelu. */
function feedForward(scope: Scope, x: Value): Value {
  const channels = defined(x.shape[2])
  const [hidden, gate] = split(scope.child('0.proj').linear(x, channels * 8), 2, 2) as [Value, Value]
  return scope.child('2').linear(mul(hidden, gelu(gate)), channels)
}

/** [B, C, H, W] → [B, H·W, C]. */
export function toTokens(x: Value): Value {
  const [batch, channels] = dimensions(x.shape, 2)
  return transpose(reshape(x, [batch, channels, -1]), [0, 2, 1])
}

/** [B, H·W, C] → the shape of `map`, [B, C, H, W]. */
export function toMap(x: Value, map: Value): Value {
  return reshape(transpose(x, [0, 2, 1]), map.shape)
}
