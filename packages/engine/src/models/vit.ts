import { Graph, type Value } from '../graph/graph.ts'
import { add, concat, expand, gelu, multiHeadAttention, reshape, slice, transpose } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions } from '../tensor/tensor.ts'
import type { VitConfig } from './vit-config.ts'

/** Path segments that transformers 5.6 and later has in memory, to those of every published file. */
export const VIT_RENAMES: Readonly<Record<string, string>> = {
  'vit.layers': 'vit.encoder.layer',
  'attention.q_proj': 'attention.attention.query',
  'attention.k_proj': 'attention.attention.key',
  'attention.v_proj': 'attention.attention.value',
  'attention.o_proj': 'attention.output.dense',
  'mlp.fc1': 'intermediate.dense',
  'mlp.fc2': 'output.dense',
}

/**
 * transformers' ViTForImageClassification: `pixel_values` [B, 3, imageSize, imageSize] → `logits` [B, labels]. The class token
 * after the final norm is classified, without a pooler.
 */
export function buildVitGraph(config: VitConfig, options: { readonly batch: number }): Graph {
  const { batch } = options
  const graph = new Graph('vit')
  const root = new Scope(graph)
  const vit = root.child('vit')
  const pixels = graph.input('pixel_values', 'float32', [batch, 3, config.imageSize, config.imageSize])
  let h = embeddings(vit.child('embeddings'), config, pixels)
  for (let i = 0; i < config.layers; i++) h = layer(vit.child(`encoder.layer.${i}`), h, config)
  const classToken = reshape(slice(h, 1, 0, 1), [batch, config.hiddenSize])
  const normalized = vit.child('layernorm').layerNorm(classToken, config.normEpsilon)
  graph.output('logits', root.child('classifier').linear(normalized, config.labels.length))
  return graph
}

/** ViTEmbeddings: the class token, then the patches row by row, each with its position's embedding. */
function embeddings(scope: Scope, { hiddenSize, patchSize }: VitConfig, pixels: Value): Value {
  const [batch] = dimensions(pixels.shape, 1)
  const patches = scope
    .child('patch_embeddings.projection')
    .conv2d(pixels, hiddenSize, { kernel: patchSize, stride: patchSize, padding: 0 })
  const rows = transpose(reshape(patches, [batch, hiddenSize, -1]), [0, 2, 1])
  const classToken = expand(scope.weight('cls_token', [1, 1, hiddenSize]), [batch, 1, hiddenSize])
  const tokens = concat([classToken, rows], 1)
  return add(tokens, scope.weight('position_embeddings', [1, defined(tokens.shape[1]), hiddenSize]))
}

/** ViTLayer: self-attention and a perceptron, each on a normalised residual. */
function layer(scope: Scope, x: Value, config: VitConfig): Value {
  const { hiddenSize, intermediateSize, heads, normEpsilon, projectionBias } = config
  const normalized = scope.child('layernorm_before').layerNorm(x, normEpsilon)
  const project = (name: string) =>
    scope.child(`attention.attention.${name}`).linear(normalized, hiddenSize, { bias: projectionBias })
  const attended = multiHeadAttention(project('query'), project('key'), project('value'), heads)
  const h = add(scope.child('attention.output.dense').linear(attended, hiddenSize), x)
  const inner = scope
    .child('intermediate.dense')
    .linear(scope.child('layernorm_after').layerNorm(h, normEpsilon), intermediateSize)
  return add(scope.child('output.dense').linear(gelu(inner), hiddenSize), h)
}
