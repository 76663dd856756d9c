import type { Value } from '../graph/graph.ts'
import { add, concat, cos, mul, reshape, silu, sin, vector } from '../graph/ops.ts'
import type { Scope } from '../graph/scope.ts'
import { defined } from '../tensor/defined.ts'

const MAX_PERIOD = 10_000

export interface SinusoidConfig {
  /** Even. */
  readonly channels: number
  /** Cosines before sines. */
  readonly flipSinToCos: boolean
  readonly freqShift: number
}

/**
 * diffusers' get_timestep_embedding (models/embeddings.py), all in float32: at t = 999 the argument of the fastest sinusoid
 * is 999 radians, where half precision has no digits left after the point.
 * @param positions float32 [N]
 * @returns [N, channels]
 */
export function sinusoids(positions: Value, config: SinusoidConfig): Value {
  const half = config.channels / 2
  const frequencies = Float32Array.from({ length: half }, (_, i) => {
    const exponent = Math.fround(Math.fround(-Math.log(MAX_PERIOD)) * i)
    return Math.exp(Math.fround(exponent / Math.fround(half - config.freqShift)))
  })
  return positions.graph.keepingFloat32(() => {
    const angles = mul(reshape(positions, [-1, 1]), vector(positions, frequencies))
    const parts = [sin(angles), cos(angles)]
    return concat(config.flipSinToCos ? parts.toReversed() : parts, 1)
  })
}

/**
 * diffusers' TimestepEmbedding: a two-layer perceptron.
 * @param x [N, in]
 * @param condition added to x through `cond_proj`
 * @returns [N, channels]
 */
export function timestepEmbedding(scope: Scope, x: Value, channels: number, condition?: Value): Value {
  const conditioned = condition
    ? add(x, scope.child('cond_proj').linear(condition, defined(x.shape[1]), { bias: false }))
    : x
  return scope.child('linear_2').linear(silu(scope.child('linear_1').linear(conditioned, channels)), channels)
}
