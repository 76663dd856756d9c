import type { Value } from '../graph/graph.ts'
import { add, multiHeadAttention } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import type { UNetHooks } from './unet-hooks.ts'

export interface AttentionConfig {
  readonly heads: number
  /** Whether the query, key and value projections have a bias; the output's always has. */
  readonly projectionBias: boolean
}

/**
 * diffusers' Attention (models/attention_processor.py), without norm and residual.
 * @param x [B, S, C]
 * @param context what is attended to, [B, L, X]; x itself in self-attention
 * @param further attention over other keys and values, added before the output projection
 * @returns [B, S, C]
 */
export function attention(
  scope: Scope,
  x: Value,
  context: Value,
  config: AttentionConfig,
  further?: UNetHooks['crossAttention'],
): Value {
  const channels = defined(x.shape[2])
  const project = (name: string, from: Value) =>
    scope.child(name).linear(from, channels, { bias: config.projectionBias })
  const query = project('to_q', x)
  const key = project('to_k', context)
  const value = project('to_v', context)
  const attended = multiHeadAttention(query, key, value, config.heads)
  const added = further?.(scope.path, query, config.heads)
  return scope.child('to_out.0').linear(added ? add(attended, added) : attended, channels)
}
