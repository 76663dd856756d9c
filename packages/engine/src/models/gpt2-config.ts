import { ConfigFields } from '../config/config-fields.ts'

/** A GPT2LMHeadModel. */
export interface Gpt2Config {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  /** The longest sequence. */
  readonly maxPositions: number
  readonly activation: 'gelu_new' | 'gelu'
  readonly normEpsilon: number
  readonly eosTokenId: number
}

/**
 * Reads the config.json of a transformers GPT2LMHeadModel, with GPT2Config's defaults.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseGpt2Config(json: unknown): Gpt2Config {
  const fields = new ConfigFields('GPT2LMHeadModel config', json)
  fields.oneOf('model_type', ['gpt2'], 'gpt2')
  fields.refuse('scale_attn_weights', true)
  fields.refuse('scale_attn_by_inverse_layer_idx', false)
  fields.refuse('tie_word_embeddings', true)
  fields.refuse('add_cross_attention', false)
  const hiddenSize = fields.size('n_embd', 768)
  const heads = fields.size('n_head', 12)
  if (hiddenSize % heads) throw fields.error('n_head', `a divisor of n_embd ${hiddenSize}`, heads)
  return {
    vocabSize: fields.size('vocab_size', 50257),
    hiddenSize,
    intermediateSize: fields.sizeOrNull('n_inner') ?? 4 * hiddenSize,
    layers: fields.size('n_layer', 12),
    heads,
    maxPositions: fields.size('n_positions', 1024),
    activation: fields.oneOf('activation_function', ['gelu_new', 'gelu'], 'gelu_new'),
    normEpsilon: fields.number('layer_norm_epsilon', 1e-5),
    eosTokenId: fields.number('eos_token_id', 50256),
  }
}
