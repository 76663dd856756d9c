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

/** The hidden state that an output (`last_hidden_state`, `hidden_states.-2`, …) is made of, 0 … layers. @param ofLast those of the last */
export function hiddenStateIndex<Output extends string>(
  output: Output,
  ofLast: readonly Output[],
  layers: number,
): number {
  if (ofLast.includes(output)) return layers
  const asked = Number(output.slice(output.indexOf('.') + 1))
  const index = asked < 0 ? layers + 1 + asked : asked
  if (!Number.isInteger(index) || index < 0 || index > layers) {
    throw new RangeError(`${output}: the model has hidden states 0 … ${layers} (or −${layers + 1} … −1)`)
  }
  return index
}
