import { defined } from '../tensor/defined.ts'
import { type FloatTensor, float32, map } from '../tensor/tensor.ts'
import { type ConfigOf, flag, number } from './scheduler-options.ts'

const { fround } = Math

export const THRESHOLDING_OPTIONS = {
  thresholding: flag(false),
  dynamic_thresholding_ratio: number(0.995),
  sample_max_value: number(1),
}

export const CLIPPING_OPTIONS = {
  clip_sample_range: number(1),
}

/** x₀ [batch, …] thresholded or clipped as the config says; `clip_sample` counts only without `thresholding`. */
export function thresholdOrClip(
  sample: FloatTensor,
  config: ConfigOf<typeof THRESHOLDING_OPTIONS & typeof CLIPPING_OPTIONS> & { readonly clip_sample: boolean },
): FloatTensor {
  if (config.thresholding) return dynamicThreshold(sample, config)
  if (!config.clip_sample) return sample
  const range = fround(config.clip_sample_range)
  return map((value) => Math.min(Math.max(value, -range), range), sample)
}

/**
 * Dynamic thresholding (Imagen, arXiv 2205.11487) of x₀ [batch, …]: per batch row, s is a quantile of |x₀| held
 * between 1 and `sample_max_value`; values are clipped to ±s and divided by s.
 */
export function dynamicThreshold(sample: FloatTensor, config: ConfigOf<typeof THRESHOLDING_OPTIONS>): FloatTensor {
  const batch = sample.shape[0] ?? 1
  const rowLength = sample.data.length / batch
  const out = float32(sample.shape)
  for (let row = 0; row < batch; row++) {
    const values = sample.data.subarray(row * rowLength, (row + 1) * rowLength)
    const quantile = quantileFloat32(values.map(Math.abs), config.dynamic_thresholding_ratio)
    const s = Math.min(Math.max(quantile, 1), fround(config.sample_max_value))
    out.data.set(
      values.map((value) => Math.min(Math.max(value, -s), s) / s),
      row * rowLength,
    )
  }
  return out
}

/** torch.quantile with linear interpolation, in float32. */
function quantileFloat32(values: Float32Array, q: number): number {
  const sorted = values.sort()
  const rank = fround(fround(q) * (sorted.length - 1))
  const below = Math.floor(rank)
  const low = defined(sorted[below])
  const high = defined(sorted[Math.ceil(rank)])
  return fround(low + fround(rank - below) * fround(high - low))
}
