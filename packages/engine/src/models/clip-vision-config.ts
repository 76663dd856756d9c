import { ConfigFields } from '../config/config-fields.ts'
import type { ClipEncoderLayerConfig } from './clip-encoder-layer.ts'
import { readVisionTransformer, type VisionTransformerConfig } from './vit-config.ts'

/** A CLIPVisionModel or CLIPVisionModelWithProjection. */
export interface ClipVisionConfig extends ClipEncoderLayerConfig, VisionTransformerConfig {
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
  return {
    ...readVisionTransformer(fields, { patchSize: 32 }),
    activation: fields.oneOf('hidden_act', ['quick_gelu', 'gelu'], 'quick_gelu'),
    normEpsilon: fields.number('layer_norm_eps', 1e-5),
    projectionSize: outer.size('projection_dim', 512),
  }
}
