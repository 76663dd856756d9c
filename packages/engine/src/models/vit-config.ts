import { ConfigFields } from '../config/config-fields.ts'

/** A transformer over the patches of a picture. */
export interface VisionTransformerConfig {
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  /** Side of the square picture it takes, pixels. */
  readonly imageSize: number
  /** Side of a patch, pixels. */
  readonly patchSize: number
}

/** A ViTForImageClassification. */
export interface VitConfig extends VisionTransformerConfig {
  readonly normEpsilon: number
  /** Whether the query, key and value projections have a bias. */
  readonly projectionBias: boolean
  /** Names of the classes in the order of the logits. */
  readonly labels: readonly string[]
}

/**
 * Reads the config.json of a transformers ViTForImageClassification, with ViTConfig's defaults.
 * @throws ModelConfigError for a malformed field or an option that is not supported
 */
export function parseVitConfig(json: unknown): VitConfig {
  const fields = new ConfigFields('ViT config', json)
  fields.refuse('hidden_act', 'gelu')
  return {
    ...readVisionTransformer(fields, { patchSize: 16 }),
    normEpsilon: fields.number('layer_norm_eps', 1e-12),
    projectionBias: fields.boolean('qkv_bias', true),
    labels: parseLabels(fields),
  }
}

/** What transformers' vision models call alike. */
export function readVisionTransformer(
  fields: ConfigFields,
  defaults: Pick<VisionTransformerConfig, 'patchSize'>,
): VisionTransformerConfig {
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
    patchSize: fields.size('patch_size', defaults.patchSize),
  }
}

/** `label2id` maps each label to the index of its logit. */
function parseLabels(fields: ConfigFields): string[] {
  const value = fields.value('label2id')
  const entries: [string, unknown][] = typeof value === 'object' && value !== null ? Object.entries(value) : []
  const sorted = entries.toSorted(([, a], [, b]) => Number(a) - Number(b))
  if (sorted.length === 0 || sorted.some(([, id], index) => Number(id) !== index)) {
    throw fields.error('label2id', 'an object of labels and their indices 0, 1, …', value)
  }
  return sorted.map(([label]) => label)
}
