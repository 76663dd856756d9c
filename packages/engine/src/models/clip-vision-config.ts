import { ConfigFields } from '../config/config-fields.ts'
import type { ClipEncoderLayerConfig } from './clip-encoder-layer.ts'

/** A CLIPVisionModel or CLIPVisionModelWithProjection. */
export interface ClipVisionConfig extends ClipEncoderLayerConfig {
  /** Side of the square picture it takes, pixels. */
  readonly imageSize: number
  /** Side of a patch, pixels. */
  readonly patchSize: number
  readonly layers: number
  /** Width of `image_embeds`; only models with a projection have them. */
  readonly projectionSize: number
}

/**
 * Reads the config.json of a transformers CLIPVisionModel or CLIPVisionModelWithProjection, with CLIPVisionConfig's defaults;
 * of a whole CLIPModel its `vision_config`, and the `projection_dim` beside it, which is the one in use there.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseClipVisionConfig(json: unknown): ClipVisionConfig {
  const outer = new ConfigFields('CLIPVisionModel config', json)
  // Files of 2022 may have the second name only.
  const nested = outer.value('vision_config') ?? outer.value('vision_config_dict')
  const fields = nested === undefined ? outer : new ConfigFields('CLIPVisionModel config: vision_config', nested)
  fields.refuse('num_channels', 3)
  const hiddenSize = fields.size('hidden_size', 768)
  const heads = fields.size('num_attention_heads', 12)
  if (hiddenSize % heads) throw fields.error('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`, heads)
  return {
    hiddenSize,
    intermediateSize: fields.size('intermediate_size', 3072),
    layers: fields.size('num_hidden_layers', 12),
    heads,
    imageSize: fields.size('image_size', 224),
    patchSize: fields.size('patch_size', 32),
    activation: fields.oneOf('hidden_act', ['quick_gelu', 'gelu'], 'quick_gelu'),
    normEpsilon: fields.number('layer_norm_eps', 1e-5),
    projectionSize: outer.size('projection_dim', 512),
  }
}
