import { ConfigFields } from '../config/config-fields.ts'
import { Graph } from '../graph/graph.ts'
import { pixelShuffle, silu, upsampleNearest } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'

/** An early way out of an autoencoder's decoder: two convolutions that draw from what it knows at a level. */
export interface EarlyHeadConfig {
  /** Level of the decoder, 0 the deepest, whose resnets are the last that run. */
  readonly level: number
  /** Channels between the two convolutions. */
  readonly width: number
  /** Pixels along each side that one position of the last convolution gives. */
  readonly pixelShuffle: number
}

/** @throws ModelConfigError for a malformed field */
export function parseEarlyHeadConfig(json: unknown): EarlyHeadConfig {
  const fields = new ConfigFields('EarlyDecoder config', json)
  return {
    level: fields.size('level', 2),
    width: fields.size('width', 32),
    pixelShuffle: fields.size('pixel_shuffle', 4),
  }
}

/** Pixels of the picture for a latent pixel along one side: the level's own, the head's doubling, and its last convolution's. */
export function earlyFactor({ level, pixelShuffle: shuffle }: EarlyHeadConfig): number {
  return 2 ** (level + 1) * shuffle
}

export interface EarlyHeadOptions {
  /** Shape of the features, [B, channels, height, width]. */
  readonly shape: readonly [number, number, number, number]
  readonly normGroups: number
}

const NORM_EPSILON = 1e-6
const OUT_CHANNELS = 3

/**
 * `features` → `image` [B, 3, 2 · pixelShuffle · height, 2 · pixelShuffle · width], about −1 … 1, not clamped
 * (training/pinhole_training/early_decoder.py).
 */
export function buildEarlyHeadGraph(config: EarlyHeadConfig, { shape, normGroups }: EarlyHeadOptions): Graph {
  const graph = new Graph('early_head', { toleratesReducedPrecision: true, isPreview: true })
  const scope = new Scope(graph)
  const [, , height, width] = shape
  const features = graph.input('features', 'float32', shape)
  const normalized = silu(scope.child('norm').groupNorm(features, normGroups, NORM_EPSILON))
  const hidden = silu(scope.child('conv_in').conv2d(upsampleNearest(normalized, 2 * height, 2 * width), config.width))
  const values = scope.child('conv_out').conv2d(hidden, OUT_CHANNELS * config.pixelShuffle ** 2)
  graph.output('image', pixelShuffle(values, config.pixelShuffle))
  return graph
}
