import { ConfigFields } from '../config/config-fields.ts'

/** A CLIPTextModel or CLIPTextModelWithProjection. */
export interface ClipTextConfig {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  /** The longest sequence, 77 in every published checkpoint. */
  readonly maxPositions: number
  readonly activation: 'quick_gelu' | 'gelu'
  readonly normEpsilon: number
  /** Width of `text_embeds`; only CLIPTextModelWithProjection has that projection. */
  readonly projectionSize: number
  readonly eosTokenId: number
}

/**
 * Reads the config.json of a transformers CLIPTextModel or CLIPTextModelWithProjection, with CLIPTextConfig's defaults;
 * of a whole CLIPModel its `text_config`.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseClipTextConfig(json: unknown): ClipTextConfig {
  const outer = new ConfigFields('CLIPTextModel config', json)
  const nested = outer.value('text_config')
  const fields = nested === undefined ? outer : new ConfigFields('CLIPTextModel config: text_config', nested)
  const hiddenSize = fields.size('hidden_size', 512)
  const heads = fields.size('num_attention_heads', 8)
  if (hiddenSize % heads) throw fields.error('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`, heads)
  return {
    vocabSize: fields.size('vocab_size', 49408),
    hiddenSize,
    intermediateSize: fields.size('intermediate_size', 2048),
    layers: fields.size('num_hidden_layers', 12),
    heads,
    maxPositions: fields.size('max_position_embeddings', 77),
    activation: fields.oneOf('hidden_act', ['quick_gelu', 'gelu'], 'quick_gelu'),
    normEpsilon: fields.number('layer_norm_eps', 1e-5),
    projectionSize: fields.size('projection_dim', 512),
    eosTokenId: fields.number('eos_token_id', 49407),
  }
}
