import { Graph, type Value } from '../graph/graph.ts'
import { add, concat, expand, reshape, slice, transpose } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import { dimensions } from '../tensor/tensor.ts'
import { clipEncoderLayer, hiddenStateIndex } from './clip-encoder-layer.ts'
import type { ClipVisionConfig } from './clip-vision-config.ts'

/**
 * What an image encoder graph can give. `i` counts hidden states as transformers does: 0 is the normalised embeddings, `layers`
 * the last layer's output, and negative numbers count from the end.
 *
 * - `hidden_states.i`: [B, tokens, hiddenSize], no norm after the layer; IP-Adapter Plus takes −2.
 * - `pooler_output`: the class token after the last layer and the final norm, [B, hiddenSize].
 * - `image_embeds`: CLIPVisionModelWithProjection's projection of that, [B, projectionSize].
 *
 * Tokens are the class token and one for each patch.
 */
export type ImageEncoderOutput = `hidden_states.${number}` | 'pooler_output' | 'image_embeds'

export interface ImageEncoderGraphOptions {
  readonly batch: number
  /** Names of the graph's outputs. */
  readonly outputs: readonly ImageEncoderOutput[]
}

/** Path segments of a CLIPVisionModel saved by transformers 5.6 and later, which lack the prefix, to those of all others. */
export const CLIP_VISION_RENAMES: Readonly<Record<string, string>> = {
  embeddings: 'vision_model.embeddings',
  pre_layrnorm: 'vision_model.pre_layrnorm',
  encoder: 'vision_model.encoder',
  post_layernorm: 'vision_model.post_layernorm',
  'vision_model.vision_model': 'vision_model',
}

/**
 * A graph that encodes pictures: `pixel_values` [B, 3, imageSize, imageSize] → the outputs asked for. Layers that none of them
 * needs are left out.
 * @throws RangeError for a hidden state that the model does not have
 */
export function buildImageEncoderGraph(config: ClipVisionConfig, options: ImageEncoderGraphOptions): Graph {
  const { batch, outputs } = options
  const graph = new Graph('image_encoder', { fitsFloat16: true })
  const root = new Scope(graph)
  const vision = root.child('vision_model')
  const pixels = graph.input('pixel_values', 'float32', [batch, 3, config.imageSize, config.imageSize])
  const wanted = outputs.map((name) => hiddenStateIndex(name, ['pooler_output', 'image_embeds'], config.layers))
  const states = clipVisionHiddenStates(vision, config, pixels, Math.max(...wanted))
  for (const [k, name] of outputs.entries()) {
    const state = defined(states[defined(wanted[k])])
    if (name === 'pooler_output') graph.output(name, clipVisionPooled(vision, config, state))
    else if (name === 'image_embeds') graph.output(name, imageEmbeds(root, config, state))
    else graph.output(name, state)
  }
  return graph
}

/**
 * transformers' CLIPVisionModel up to layer `last`.
 * @param pixels [B, 3, imageSize, imageSize]
 * @returns hidden_states[0 … last], each [B, tokens, hiddenSize]
 */
export function clipVisionHiddenStates(scope: Scope, config: ClipVisionConfig, pixels: Value, last: number): Value[] {
  // `pre_layrnorm` is how the checkpoints spell it.
  const embedded = embeddings(scope.child('embeddings'), config, pixels)
  const states = [scope.child('pre_layrnorm').layerNorm(embedded, config.normEpsilon)]
  for (let i = 0; i < last; i++) {
    states.push(clipEncoderLayer(scope.child(`encoder.layers.${i}`), defined(states[i]), config))
  }
  return states
}

/** The class token of the last hidden state, normalised: [B, hiddenSize]. */
function clipVisionPooled(scope: Scope, config: ClipVisionConfig, lastHiddenState: Value): Value {
  const [batch] = dimensions(lastHiddenState.shape, 1)
  const classToken = reshape(slice(lastHiddenState, 1, 0, 1), [batch, config.hiddenSize])
  return scope.child('post_layernorm').layerNorm(classToken, config.normEpsilon)
}

/** The pooled output of the last hidden state, projected: [B, projectionSize]. */
export function imageEmbeds(root: Scope, config: ClipVisionConfig, lastHiddenState: Value): Value {
  const pooled = clipVisionPooled(root.child('vision_model'), config, lastHiddenState)
  return root.child('visual_projection').linear(pooled, config.projectionSize, { bias: false })
}

/** CLIPVisionEmbeddings: the class token, then the patches row by row, each with its position's embedding. */
function embeddings(scope: Scope, { hiddenSize, patchSize }: ClipVisionConfig, pixels: Value): Value {
  const [batch] = dimensions(pixels.shape, 1)
  const patches = scope
    .child('patch_embedding')
    .conv2d(pixels, hiddenSize, { kernel: patchSize, stride: patchSize, padding: 0, bias: false })
  const rows = transpose(reshape(patches, [batch, hiddenSize, -1]), [0, 2, 1])
  const classToken = reshape(scope.weight('class_embedding', [hiddenSize]), [1, 1, hiddenSize])
  const tokens = concat([expand(classToken, [batch, 1, hiddenSize]), rows], 1)
  const positions = scope.child('position_embedding').weight('weight', [defined(tokens.shape[1]), hiddenSize])
  return add(tokens, positions)
}
