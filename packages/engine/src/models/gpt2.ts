import { Graph, type Value } from '../graph/graph.ts'
import { add, concat, gelu, geluTanh, multiHeadAttention, reshape, slice } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import type { Gpt2Config } from './gpt2-config.ts'

/** Path segments of checkpoints that were saved without the head (`gpt2` itself), and today's. */
export const GPT2_RENAMES: Readonly<Record<string, string>> = {
  wte: 'transformer.wte',
  wpe: 'transformer.wpe',
  h: 'transformer.h',
  ln_f: 'transformer.ln_f',
  'transformer.transformer': 'transformer',
}

/** Causal masks that older versions saved as buffers, and the head where it was saved although it is tied to the embeddings. */
export const GPT2_IGNORED_KEYS = /\.attn\.(bias|masked_bias)$|^lm_head\.weight$/

/**
 * A graph for one token after others whose keys and values are given:
 *
 * - `input_ids` and `positions`, int64 [1, 1];
 * - `mask` float32 [1, 1, 1, cacheLength + 1], added to the attention scores: 0 for the places that hold tokens and for the last,
 *   which is the new token, a large negative number for the rest;
 * - `past_keys.i` and `past_values.i` float32 [1, cacheLength, hiddenSize] for each layer;
 *
 * → `logits` float32 [1, vocabSize], and `keys.i`, `values.i` [1, 1, hiddenSize] to be kept for the next token.
 */
export function buildGpt2StepGraph(config: Gpt2Config, cacheLength: number): Graph {
  const { hiddenSize } = config
  const graph = new Graph('gpt2')
  const model = new Scope(graph).child('transformer')
  const inputIds = graph.input('input_ids', 'int64', [1, 1])
  const positions = graph.input('positions', 'int64', [1, 1])
  const mask = graph.input('mask', 'float32', [1, 1, 1, cacheLength + 1])
  const tokens = model.child('wte').embedding(inputIds, config.vocabSize, hiddenSize)
  let x = add(tokens, model.child('wpe').embedding(positions, config.maxPositions, hiddenSize))
  for (let i = 0; i < config.layers; i++) {
    const past = (name: string) => graph.input(`past_${name}.${i}`, 'float32', [1, cacheLength, hiddenSize])
    const layer = gpt2Layer(model.child('h').child(i), config, x, { keys: past('keys'), values: past('values'), mask })
    graph.output(`keys.${i}`, layer.keys)
    graph.output(`values.${i}`, layer.values)
    x = layer.x
  }
  const last = reshape(model.child('ln_f').layerNorm(x, config.normEpsilon), [1, hiddenSize])
  graph.output('logits', tiedHead(model, config, last))
  return graph
}

interface Past {
  readonly keys: Value
  readonly values: Value
  readonly mask: Value
}

function gpt2Layer(scope: Scope, config: Gpt2Config, x: Value, past: Past) {
  const { hiddenSize, heads, intermediateSize, normEpsilon } = config
  const attention = scope.child('attn')
  const joint = projection(attention.child('c_attn'), scope.child('ln_1').layerNorm(x, normEpsilon), 3 * hiddenSize)
  const part = (i: number) => slice(joint, 2, i * hiddenSize, (i + 1) * hiddenSize)
  const [query, keys, values] = [part(0), part(1), part(2)]
  const attended = multiHeadAttention(
    query,
    concat([past.keys, keys], 1),
    concat([past.values, values], 1),
    heads,
    past.mask,
  )
  const between = add(x, projection(attention.child('c_proj'), attended, hiddenSize))
  const mlp = scope.child('mlp')
  const wide = projection(mlp.child('c_fc'), scope.child('ln_2').layerNorm(between, normEpsilon), intermediateSize)
  const activated = config.activation === 'gelu' ? gelu(wide) : geluTanh(wide)
  return { x: add(between, projection(mlp.child('c_proj'), activated, hiddenSize)), keys, values }
}

/** transformers' Conv1D: a linear layer whose weight lies [in, out]. */
function projection(scope: Scope, x: Value, outFeatures: number): Value {
  const inFeatures = defined(x.shape.at(-1))
  const flat = reshape(x, [1, inFeatures])
  const y = scope.graph.node(scope.path, {
    opType: 'Gemm',
    inputs: [flat, scope.weight('weight', [inFeatures, outFeatures]), scope.weight('bias', [outFeatures])],
    output: { dtype: 'float32', shape: [1, outFeatures] },
  })
  return reshape(y, [1, 1, outFeatures])
}

/** The scores of all tokens: the embeddings' own matrix, transposed. */
function tiedHead(model: Scope, { vocabSize, hiddenSize }: Gpt2Config, x: Value): Value {
  return model.graph.node('lm_head', {
    opType: 'Gemm',
    inputs: [x, model.child('wte').weight('weight', [vocabSize, hiddenSize])],
    output: { dtype: 'float32', shape: [1, vocabSize] },
    attributes: { transB: 1 },
  })
}
