import type { KeysAndValues } from '../adapters/image-prompt-adapter.ts'
import { IP_ADAPTER_LORA_KEYS, type IPAdapterFile, readIPAdapter } from '../adapters/ip-adapter-file.ts'
import type { Lora } from '../adapters/lora.ts'
import type { Component } from '../checkpoint/checkpoint.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { type AttentionLayer, attentionLayers } from '../models/attention-layers.ts'
import type { ImageProjectionConfig } from '../models/image-projection-config.ts'
import { buildIPAdapterGraph, imagePromptOutput } from '../models/ip-adapter-projections.ts'
import type { UNetBlocksConfig } from '../models/unet-2d-blocks-config.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { dimensions, expectFloat32, type FloatTensor } from '../tensor/tensor.ts'
import type { Engine } from './engine.ts'
import { type PrepareWeightsOptions, prepareWeights } from './prepare-weights.ts'
import { requireFinite } from './require-finite.ts'

/** What a UNet gets of pictures: tokens [N, T, C], and keys and values [N, T, …] of each cross-attention. */
export interface ProjectedImages {
  readonly tokens: FloatTensor
  readonly keysAndValues: KeysAndValues
}

/** A loaded IP-Adapter, or InstantID's, for the UNet of one model. */
export class IPAdapter {
  /** What messages call it. */
  readonly source: string
  readonly projection: ImageProjectionConfig
  readonly layers: readonly AttentionLayer[]
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(
    { projection, weights: { source } }: IPAdapterFile,
    layers: readonly AttentionLayer[],
    weights: Weights,
    sessions: SessionCache,
  ) {
    this.source = source
    this.projection = projection
    this.layers = layers
    this.#weights = weights
    this.#sessions = sessions
  }

  /**
   * @param features of N pictures, as `ImageProjectionConfig` says
   * @param face FaceID-Plus alone: `hidden_states[-2]` of the faces, and whether their embeddings' own tokens join in
   */
  async project(
    features: FloatTensor,
    face?: { readonly states: FloatTensor; readonly shortcut: boolean },
  ): Promise<ProjectedImages> {
    const [batch] = dimensions(features.shape, 1)
    const length = (face?.states ?? features).shape.at(1) ?? 1
    const shortcut = face?.shortcut ?? false
    const session = await this.#sessions.get(this.#weights, `${batch}x${length} ${shortcut}`, () =>
      buildIPAdapterGraph(this.projection, this.layers, { batch, length, shortcut }),
    )
    const results = await session.run({ features, ...(face && { face_states: face.states }) })
    // Tokens that are no numbers make keys that are none.
    requireFinite(Object.values(results) as FloatTensor[], this.source)
    const of = (part: 'key' | 'value', path: string) => expectFloat32(results[imagePromptOutput(part, path)])
    const cross = this.layers.filter(({ kind }) => kind === 'cross')
    return {
      tokens: expectFloat32(results.tokens),
      keysAndValues: new Map(cross.map(({ path }) => [path, { key: of('key', path), value: of('value', path) }])),
    }
  }
}

/** An IP-Adapter and what else its file holds. */
export interface LoadedIPAdapter {
  readonly adapter: IPAdapter
  /** FaceID's: to be applied with scale 1 wherever the adapter is (`applyLoras`). */
  readonly lora: Lora | undefined
}

/**
 * Loads an IP-Adapter for a UNet. Weight headers are checked now, sessions are made when they are first used.
 * @param component its file; it has no config
 * @throws CheckpointError for one of another UNet, ModelConfigError for a kind that is not known, SafetensorsError
 */
export async function loadIPAdapter(
  engine: Engine,
  unet: UNetBlocksConfig,
  component: Pick<Component, 'name' | 'weights'>,
  options: Pick<PrepareWeightsOptions, 'signal'> = {},
): Promise<LoadedIPAdapter> {
  const layers = attentionLayers(unet)
  const file = await readIPAdapter(await component.weights(), layers)
  const graph = buildIPAdapterGraph(file.projection, layers, { batch: 1, length: 1 })
  const weights = await prepareWeights(engine, component, [graph], { ...options, ignoredKeys: IP_ADAPTER_LORA_KEYS })
  return { adapter: new IPAdapter(file, layers, weights, engine.sessions), lora: file.lora }
}
