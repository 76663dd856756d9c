import { type FloatTensor, map } from '../tensor/tensor.ts'
import { linearCombination } from './linear-combination.ts'
import { atStep, SchedulerBase } from './scheduler.ts'
import { trainingSigmas } from './sigma-schedule.ts'
import type { TimestepSpacing } from './spacing.ts'
import type { PredictionType } from './variance-preserving.ts'

const { fround, sqrt } = Math

/** σ² + 1, in float32. */
function totalVariance(sigma: number): number {
  return fround(fround(sigma ** 2) + 1)
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

/** Samplers that know the noise level by its standard deviation σ beside a signal that is not scaled. */
export abstract class SigmaScheduler extends SchedulerBase {
  override sigmas: readonly number[] = []
  /** σ by training timestep. */
  protected readonly trainingSigmas: Float32Array
  readonly #spacing: TimestepSpacing

  constructor(alphas: Float32Array, spacing: TimestepSpacing) {
    super()
    this.trainingSigmas = trainingSigmas(alphas)
    this.#spacing = spacing
  }

  /** The largest sigma of the schedule; with leading spacing, which starts below the noisiest level, √(σ² + 1). */
  override get initNoiseSigma(): number {
    const largest = Math.max(atStep(this.sigmas, 0), ...this.sigmas)
    return this.#spacing === 'leading' ? fround(sqrt(totalVariance(largest))) : largest
  }

  /** sample / √(σ² + 1): the sample as the model has seen it in training. */
  override scaleModelInput(sample: FloatTensor, stepIndex: number): FloatTensor {
    const scale = fround(sqrt(totalVariance(atStep(this.sigmas, stepIndex))))
    return map((value) => value / scale, sample)
  }

  /** original + σ · noise. */
  addNoise(original: FloatTensor, noise: FloatTensor, stepIndex: number): FloatTensor {
    return linearCombination([1, original], [atStep(this.sigmas, stepIndex), noise])
  }
}
