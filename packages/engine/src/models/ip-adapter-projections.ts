import { Graph, type Value } from '../graph/graph.ts'
import { Scope } from '../graph/scope.ts'
import type { AttentionLayer } from './attention-layers.ts'
import { imageProjection } from './image-projection.ts'
import type { ImageProjectionConfig } from './image-projection-config.ts'

export interface IPAdapterGraphOptions {
  /** Pictures, unconditional ones included. */
  readonly batch: number
  /** Length of the features' sequence: CLIP's tokens for `full` and `resampler`, those of the face's picture for `face-id-plus`. */
  readonly length: number
  /** Whether a FaceID-Plus adapter is of version 2; the others do not ask. */
  readonly shortcut?: boolean
}

/** Name of a cross-attention's keys or values among the outputs. */
export function imagePromptOutput(part: 'key' | 'value', path: string): string {
  return `${path}.${part}`
}

/**
 * A graph that turns pictures' features into all that a UNet's cross-attentions need of them, once per request: `features` (see
 * `ImageProjectionConfig`; [B, 1, 512] for InstantID), and `face_states` [B, L, channels] for `face-id-plus` → `tokens` [B, T, C] and for each
 * cross-attention its `{path}.key` and `{path}.value`, [B, T, channels of its queries].
 * @param layers the UNet's attentions, numbered as in `attentionLayers`
 */
export function buildIPAdapterGraph(
  config: ImageProjectionConfig,
  layers: readonly AttentionLayer[],
  { batch, length, shortcut = false }: IPAdapterGraphOptions,
): Graph {
  const graph = new Graph('ip_adapter', { fitsFloat16: true })
  const root = new Scope(graph)
  const tokens = imageProjection(root.child('image_proj'), config, {
    ...declareFeatures(graph, config, batch, length),
    shortcut,
  })
  graph.output('tokens', tokens)
  for (const [id, { kind, path, channels }] of layers.entries()) {
    if (kind === 'self') continue
    const project = (name: string) => root.child(`ip_adapter.${id}.${name}`).linear(tokens, channels, { bias: false })
    graph.output(imagePromptOutput('key', path), project('to_k_ip'))
    graph.output(imagePromptOutput('value', path), project('to_v_ip'))
  }
  return graph
}

function declareFeatures(
  graph: Graph,
  config: ImageProjectionConfig,
  batch: number,
  length: number,
): { readonly features: Value; readonly faceStates?: Value } {
  const input = (name: string, ...shape: readonly number[]) => graph.input(name, 'float32', [batch, ...shape])
  switch (config.kind) {
    case 'linear':
    case 'face-id':
      return { features: input('features', config.imageChannels) }
    case 'full':
      return { features: input('features', length, config.imageChannels) }
    case 'resampler':
      return { features: input('features', length, config.resampler.imageChannels) }
    case 'face-id-plus':
      return {
        features: input('features', config.faceChannels),
        faceStates: input('face_states', length, config.resampler.imageChannels),
      }
  }
}
