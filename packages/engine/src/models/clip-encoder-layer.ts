import type { Value } from '../graph/graph.ts'
import { add, gelu, multiHeadAttention, quickGelu } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'

export interface ClipEncoderLayerConfig {
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly heads: number
  readonly activation: 'quick_gelu' | 'gelu'
  readonly normEpsilon: number
}

/**
 * transformers' CLIPEncoderLayer: self-attention and a perceptron, each on a normalised residual.
 * @param x [B, tokens, hiddenSize]
 * @param mask added to the attention's scores, broadcastable to [B, heads, tokens, tokens]
 */
export function clipEncoderLayer(scope: Scope, x: Value, config: ClipEncoderLayerConfig, mask?: Value): Value {
  const { hiddenSize, intermediateSize, heads, normEpsilon } = config
  const activation = config.activation === 'gelu' ? gelu : quickGelu
  const normalized = scope.child('layer_norm1').layerNorm(x, normEpsilon)
  const project = (name: string, input: Value) => scope.child(`self_attn.${name}`).linear(input, hiddenSize)
  const query = project('q_proj', normalized)
  const key = project('k_proj', normalized)
  const value = project('v_proj', normalized)
  const h = add(project('out_proj', multiHeadAttention(query, key, value, heads, mask)), x)
  const inner = scope.child('mlp.fc1').linear(scope.child('layer_norm2').layerNorm(h, normEpsilon), intermediateSize)
  return add(scope.child('mlp.fc2').linear(activation(inner), hiddenSize), h)
}
