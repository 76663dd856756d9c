import { Graph, type Value } from '../graph/graph.ts'
import { add, gather, mul, reshape, slice } from '../graph/ops.ts'
import { type LayerHook, Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions, float32, int64 } from '../tensor/tensor.ts'
import { clipEncoderLayer, hiddenStateIndex } from './clip-encoder-layer.ts'
import type { ClipTextConfig } from './clip-text-config.ts'

/**
 * What a text encoder graph can give. `i` counts hidden states as transformers does: 0 is the embeddings, `layers` the last
 * layer's output, and negative numbers count from the end.
 *
 * - `last_hidden_state`: the last layer's output after the final norm; SD1.5's prompt embeds.
 * - `hidden_states.i`: without the final norm; SDXL takes −2, and with clip_skip k −(k + 2).
 * - `normalized_hidden_states.i`: after the final norm; SD1.5 with clip_skip k takes −(k + 1).
 * - `text_embeds`: CLIPTextModelWithProjection's pooled output, [B, projectionSize]. The graph then has the input
 *   `eos_positions`, int64 [B], see `eosPositions`.
 *
 * All but the last are [B, tokens, hiddenSize].
 */
export type TextEncoderOutput =
  | 'last_hidden_state'
  | `hidden_states.${number}`
  | `normalized_hidden_states.${number}`
  | 'text_embeds'

export interface TextEncoderGraphOptions {
  readonly batch: number
  /** Default: the longest the model takes. */
  readonly tokens?: number
  /** Names of the graph's outputs. */
  readonly outputs: readonly TextEncoderOutput[]
  /**
   * Adds the inputs `inserted` [B, tokens, hiddenSize] and `keep` [B, tokens, 1]: a token's embedding is its row of the table times `keep`
   * plus `inserted`. Vectors of tokens that the table does not have come in this way, so that the table never changes.
   */
  readonly insertsEmbeddings?: boolean
}

/** Path segments of checkpoints saved by transformers 5.6 and later, which lack the prefix, to those of all others. */
export const CLIP_TEXT_RENAMES: Readonly<Record<string, string>> = {
  embeddings: 'text_model.embeddings',
  encoder: 'text_model.encoder',
  final_layer_norm: 'text_model.final_layer_norm',
  'text_model.text_model': 'text_model',
}

/** The most negative float32: −∞ would do, but not in every execution provider's softmax. */
const MASKED = -3.4028234663852886e38

/**
 * A graph that encodes prompts: `input_ids` int64 [B, tokens] → the outputs asked for. Layers that none of them needs are
 * left out.
 * @param layerHook makes what sees every layer of the graph (low-rank branches)
 * @throws RangeError for a hidden state that the model does not have, or more tokens than positions
 */
export function buildTextEncoderGraph(
  config: ClipTextConfig,
  options: TextEncoderGraphOptions,
  layerHook?: (graph: Graph) => LayerHook,
): Graph {
  const { batch, tokens = config.maxPositions, outputs } = options
  if (tokens > config.maxPositions) throw new RangeError(`${tokens} tokens, but ${config.maxPositions} positions`)
  const graph = new Graph('text_encoder', { fitsFloat16: true })
  const root = new Scope(graph, '', layerHook?.(graph))
  const text = root.child('text_model')
  const inputIds = graph.input('input_ids', 'int64', [batch, tokens])
  const wanted = outputs.map((name) => hiddenStateIndex(name, ['last_hidden_state', 'text_embeds'], config.layers))
  const embeddings = tokenEmbeddings(text, config, inputIds, options.insertsEmbeddings ?? false)
  const states = hiddenStates(text, config, embeddings, Math.max(...wanted))
  const normalize = (state: Value) => text.child('final_layer_norm').layerNorm(state, config.normEpsilon)
  for (const [k, name] of outputs.entries()) {
    const state = defined(states[defined(wanted[k])])
    if (name === 'text_embeds') graph.output(name, textEmbeds(root, config, normalize(state)))
    else graph.output(name, name.startsWith('hidden_states.') ? state : normalize(state))
  }
  return graph
}

/**
 * Where the pooled output is taken: the position of the end of text in each row of token ids. Published configs say
 * `eos_token_id: 2`, which no tokenizer uses: transformers then takes the largest id, and otherwise the first end of text.
 */
export function eosPositions(config: ClipTextConfig, inputIds: readonly (readonly number[])[]): number[] {
  const { eosTokenId } = config
  return inputIds.map((ids) => Math.max(0, ids.indexOf(eosTokenId === 2 ? Math.max(...ids) : eosTokenId)))
}

/** What the tokens are before they have places, [B, tokens, hiddenSize]. */
function tokenEmbeddings(scope: Scope, config: ClipTextConfig, inputIds: Value, inserts: boolean): Value {
  const table = scope.child('embeddings.token_embedding')
  const token = table.embedding(inputIds, config.vocabSize, config.hiddenSize)
  if (!inserts) return token
  const inserted = scope.graph.input('inserted', 'float32', token.shape)
  const keep = scope.graph.input('keep', 'float32', [...inputIds.shape, 1])
  return add(mul(token, keep), inserted)
}

/**
 * transformers' CLIPTextModel up to `last` layers.
 * @param token embeddings of the tokens
 * @returns hidden_states[0 … last], each [B, tokens, hiddenSize]
 */
function hiddenStates(scope: Scope, config: ClipTextConfig, token: Value, last: number): Value[] {
  const tokens = defined(token.shape[1])
  const embeddings = scope.child('embeddings')
  const positions = embeddings.child('position_embedding').weight('weight', [config.maxPositions, config.hiddenSize])
  const states = [add(token, tokens === config.maxPositions ? positions : slice(positions, 0, 0, tokens))]
  const mask = causalMask(scope, tokens)
  for (let i = 0; i < last; i++) {
    states.push(clipEncoderLayer(scope.child(`encoder.layers.${i}`), defined(states[i]), config, mask))
  }
  return states
}

/** Scores of a query with later keys are masked; padding is not, as Stable Diffusion was trained. */
function causalMask(scope: Scope, tokens: number): Value {
  const scores = Float32Array.from({ length: tokens * tokens }, (_, i) =>
    i % tokens > Math.floor(i / tokens) ? MASKED : 0,
  )
  return scope.graph.constant(float32([1, 1, tokens, tokens], scores))
}

/** The final state at each end of text, projected: [B, projectionSize]. */
function textEmbeds(root: Scope, config: ClipTextConfig, lastHiddenState: Value): Value {
  const [batch, tokens, channels] = dimensions(lastHiddenState.shape, 3)
  const { graph } = root
  const rowStarts = Array.from({ length: batch }, (_, row) => row * tokens)
  const rows = add(graph.input('eos_positions', 'int64', [batch]), graph.constant(int64([batch], rowStarts)))
  const pooled = gather(reshape(lastHiddenState, [batch * tokens, channels]), rows)
  return root.child('text_projection').linear(pooled, config.projectionSize, { bias: false })
}
