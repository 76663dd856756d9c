import type { Value } from '../graph/graph.ts'
import { add, expand, gelu, reshape } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'
import type { ImageProjectionConfig } from './image-projection-config.ts'
import { perceiverResampler } from './perceiver-resampler.ts'

/** What a projection takes. */
export interface ImageFeatures {
  /** [B, imageChannels], or [B, L, imageChannels] for `full` and `resampler`; the face embedding for `face-id-plus`. */
  readonly features: Value
  /** `hidden_states[-2]` of the face's picture, [B, L, resampler.imageChannels]; `face-id-plus` alone takes it. */
  readonly faceStates?: Value
  /** `face-id-plus`: the face embedding's own tokens join the resampler's (version 2) or not (version 1). */
  readonly shortcut?: boolean
}

/**
 * diffusers' image projections (models/embeddings.py, `ImageProjection` and `IPAdapter…ImageProjection`) in the key names of the
 * published files.
 * @returns [B, tokens, channels]
 */
export function imageProjection(scope: Scope, config: ImageProjectionConfig, input: ImageFeatures): Value {
  const { features } = input
  switch (config.kind) {
    case 'linear': {
      const flat = scope.child('proj').linear(features, config.tokens * config.channels)
      return scope.child('norm').layerNorm(reshape(flat, [-1, config.tokens, config.channels]))
    }
    case 'full': {
      const hidden = gelu(scope.child('proj.0').linear(features, config.imageChannels))
      return scope.child('proj.3').layerNorm(scope.child('proj.2').linear(hidden, config.channels))
    }
    case 'resampler': {
      const { channels } = config.resampler
      const latents = expand(scope.weight('latents', [1, config.tokens, channels]), [
        defined(features.shape[0]),
        config.tokens,
        channels,
      ])
      return perceiverResampler(scope, features, latents, config.resampler)
    }
    case 'face-id':
      return faceTokens(scope, features, config.hiddenChannels, config.tokens, config.channels)
    case 'face-id-plus': {
      if (!input.faceStates) throw new Error('FaceID-Plus needs the hidden states of the face')
      const { resampler, tokens } = config
      const face = faceTokens(scope, features, config.hiddenChannels, tokens, resampler.channels)
      const seen = perceiverResampler(scope.child('perceiver_resampler'), input.faceStates, face, resampler)
      return input.shortcut ? add(seen, face) : seen
    }
  }
}

/** A face embedding [B, in] through a perceptron to [B, tokens, channels], normalised. */
function faceTokens(scope: Scope, face: Value, hidden: number, tokens: number, channels: number): Value {
  const inner = gelu(scope.child('proj.0').linear(face, hidden))
  const flat = scope.child('proj.2').linear(inner, tokens * channels)
  return scope.child('norm').layerNorm(reshape(flat, [-1, tokens, channels]))
}
