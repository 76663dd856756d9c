import { type FloatTensor, map } from '../tensor/tensor.ts'
import { linearCombination } from './linear-combination.ts'
import { atStep } from './scheduler.ts'
import type { TimestepSpacing } from './spacing.ts'
import type { PredictionType } from './variance-preserving.ts'

const { fround, sqrt } = Math

/** σ² + 1, in float32. */
function totalVariance(sigma: number): number {
  return fround(fround(sigma ** 2) + 1)
}

/** The largest sigma of the schedule; with leading spacing, which starts below the noisiest level, √(σ² + 1). */
export function initNoiseSigma(sigmas: readonly number[], spacing: TimestepSpacing): number {
  const largest = Math.max(atStep(sigmas, 0), ...sigmas)
  return spacing === 'leading' ? fround(sqrt(totalVariance(largest))) : largest
}

/** sample / √(σ² + 1): the sample as the model has seen it in training. */
export function scaleBySigma(sample: FloatTensor, sigma: number): FloatTensor {
  const scale = fround(sqrt(totalVariance(sigma)))
  return map((value) => value / scale, sample)
}

/** x₀ at noise level σ, for each of the three things a model can predict. */
export function predictOriginalAtSigma(
  predictionType: PredictionType,
  sigma: number,
  sample: FloatTensor,
  modelOutput: FloatTensor,
): FloatTensor {
  switch (predictionType) {
    case 'epsilon':
      return linearCombination([1, sample], [-sigma, modelOutput])
    case 'sample':
      return modelOutput
    case 'v_prediction': {
      const variance = totalVariance(sigma)
      const factor = fround(-sigma / fround(sqrt(variance)))
      return map((v, x) => fround(v * factor) + fround(x / variance), modelOutput, sample)
    }
  }
}

/** dx/dσ of the probability flow: (x − x₀) / σ. */
export function derivative(sample: FloatTensor, original: FloatTensor, sigma: number): FloatTensor {
  return map((x, x0) => fround(x - x0) / sigma, sample, original)
}

/** original + σ · noise. */
export function addSigmaNoise(original: FloatTensor, noise: FloatTensor, sigma: number): FloatTensor {
  return linearCombination([1, original], [sigma, noise])
}
