import type { Value } from '../graph/graph.ts'
import { add, concat, gelu, multiHeadAttention, slice } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'

/** Channels of an attention head; the same in every published resampler. */
export const RESAMPLER_HEAD_CHANNELS = 64

/** A perceiver that turns any number of image tokens into a few prompt tokens. */
export interface ResamplerConfig {
  /** Channels of the image tokens. */
  readonly imageChannels: number
  /** Channels that it works in. */
  readonly channels: number
  /** Channels of the prompt tokens. */
  readonly outChannels: number
  readonly heads: number
  readonly layers: number
}

/**
 * The Resampler of IP-Adapter Plus and InstantID, and the FacePerceiverResampler of FaceID Plus (diffusers'
 * IPAdapterPlusImageProjection and IPAdapterFaceIDPlusImageProjection, in the names of the published files).
 * @param images [B, L, imageChannels]
 * @param latents the queries it begins with, [B, n, channels]
 * @returns [B, n, outChannels]
 */
export function perceiverResampler(scope: Scope, images: Value, latents: Value, config: ResamplerConfig): Value {
  const x = scope.child('proj_in').linear(images, config.channels)
  let h = latents
  for (let i = 0; i < config.layers; i++) {
    const layer = scope.child(`layers.${i}`)
    h = add(perceiverAttention(layer.child(0), x, h, config.heads), h)
    h = add(feedForward(layer.child(1), h), h)
  }
  return scope.child('norm_out').layerNorm(scope.child('proj_out').linear(h, config.outChannels))
}

/** Latents look at the image tokens and at themselves. */
function perceiverAttention(scope: Scope, x: Value, latents: Value, heads: number): Value {
  const inner = heads * RESAMPLER_HEAD_CHANNELS
  const queries = scope.child('norm2').layerNorm(latents)
  const context = concat([scope.child('norm1').layerNorm(x), queries], 1)
  const keysAndValues = scope.child('to_kv').linear(context, 2 * inner, { bias: false })
  const [key, value] = [slice(keysAndValues, 2, 0, inner), slice(keysAndValues, 2, inner, 2 * inner)]
  const query = scope.child('to_q').linear(queries, inner, { bias: false })
  const channels = defined(latents.shape[2])
  return scope.child('to_out').linear(multiHeadAttention(query, key, value, heads), channels, { bias: false })
}

function feedForward(scope: Scope, x: Value): Value {
  const channels = defined(x.shape[2])
  const inner = scope.child(1).linear(scope.child(0).layerNorm(x), 4 * channels, { bias: false })
  return scope.child(3).linear(gelu(inner), channels, { bias: false })
}
