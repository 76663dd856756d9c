/** What an OpenCLIP text encoder's tensor is in transformers' CLIPTextModelWithProjection. */
export interface OpenClipPart {
  /** `text_model.encoder.layers.0.self_attn.k_proj.weight` */
  readonly key: string
  /** The tensor is one of so many equal ranges of the stored tensor's rows; absent: all of it. */
  readonly rows?: { readonly index: number; readonly of: number }
  /** The stored matrix is the transpose. */
  readonly isTransposed?: true
}

const WHOLE: Readonly<Record<string, string>> = {
  'token_embedding.weight': 'text_model.embeddings.token_embedding.weight',
  positional_embedding: 'text_model.embeddings.position_embedding.weight',
  'ln_final.weight': 'text_model.final_layer_norm.weight',
  'ln_final.bias': 'text_model.final_layer_norm.bias',
}

const LAYER: Readonly<Record<string, string>> = {
  ln_1: 'layer_norm1',
  ln_2: 'layer_norm2',
  'attn.out_proj': 'self_attn.out_proj',
  'mlp.c_fc': 'mlp.fc1',
  'mlp.c_proj': 'mlp.fc2',
}

/**
 * The tensors that an OpenCLIP key stands for, without its prefix (`conditioner.embedders.1.model.`): queries, keys and values are one
 * tensor there, and the projection is applied from the other side (diffusers `convert_open_clip_checkpoint`). Empty for what
 * transformers' class has no use for (`logit_scale`, masks, a visual tower).
 */
export function openClipParts(storedKey: string): readonly OpenClipPart[] {
  const whole = WHOLE[storedKey]
  if (whole !== undefined) return [{ key: whole }]
  if (storedKey === 'text_projection') return [{ key: 'text_projection.weight', isTransposed: true }]
  const [, layer, name = '', kind] = /^transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)$/.exec(storedKey) ?? []
  if (layer === undefined) return []
  const path = `text_model.encoder.layers.${layer}`
  if (name === 'attn.in_proj') {
    return ['q', 'k', 'v'].map((x, index) => ({
      key: `${path}.self_attn.${x}_proj.${kind}`,
      rows: { index, of: 3 },
    }))
  }
  const renamed = LAYER[name]
  return renamed === undefined ? [] : [{ key: `${path}.${renamed}.${kind}` }]
}
