import { type FloatTensor, map } from '../tensor/tensor.ts'
import { linearCombination } from './linear-combination.ts'
import { atStep, SchedulerBase } from './scheduler.ts'

const { fround, sqrt } = Math

export type PredictionType = 'epsilon' | 'sample' | 'v_prediction'

/**
 * ᾱ at a timestep. A timestep of −1, which trailing spacing yields at some step counts (61, 103, …), counts from the
 * end as in Python: diffusers runs such a step with the ᾱ of pure noise.
 * @throws RangeError when the timestep is outside the training schedule
 */
export function alphaProdAt(alphas: Float32Array, timestep: number): number {
  const value = alphas.at(timestep)
  if (value === undefined) {
    throw new RangeError(`timestep ${timestep} is outside the ${alphas.length} training timesteps`)
  }
  return value
}

/** √ᾱ and √(1−ᾱ): the standard deviations of signal and noise. */
export function signalAndNoise(alphaProd: number): { readonly signal: number; readonly noise: number } {
  return { signal: fround(sqrt(alphaProd)), noise: fround(sqrt(fround(1 - alphaProd))) }
}

/** x₀ from the model output at ᾱ, for each of the three things a model can predict. */
export function predictOriginal(
  predictionType: PredictionType,
  alphaProd: number,
  sample: FloatTensor,
  modelOutput: FloatTensor,
): FloatTensor {
  const { signal, noise } = signalAndNoise(alphaProd)
  switch (predictionType) {
    case 'epsilon':
      return dividedDifference(sample, noise, modelOutput, signal)
    case 'sample':
      return modelOutput
    case 'v_prediction':
      return linearCombination([signal, sample], [-noise, modelOutput])
  }
}

/** ε from the model output at ᾱ. */
export function predictEpsilon(
  predictionType: PredictionType,
  alphaProd: number,
  sample: FloatTensor,
  modelOutput: FloatTensor,
): FloatTensor {
  const { signal, noise } = signalAndNoise(alphaProd)
  switch (predictionType) {
    case 'epsilon':
      return modelOutput
    case 'sample':
      return dividedDifference(sample, signal, modelOutput, noise)
    case 'v_prediction':
      return linearCombination([signal, modelOutput], [noise, sample])
  }
}

/** (x − c·y) / d, rounded to float32 after each operation. */
export function dividedDifference(x: FloatTensor, c: number, y: FloatTensor, d: number): FloatTensor {
  return map((xi, yi) => fround(xi - fround(c * yi)) / d, x, y)
}

/** Samplers that know the noise level by the timestep's ᾱ, at which signal and noise have variance 1 together. */
export abstract class VariancePreservingScheduler extends SchedulerBase {
  /** ᾱ by training timestep. */
  protected readonly alphas: Float32Array

  constructor(alphas: Float32Array) {
    super()
    this.alphas = alphas
  }

  /** √ᾱ·original + √(1−ᾱ)·noise. */
  addNoise(original: FloatTensor, noise: FloatTensor, stepIndex: number): FloatTensor {
    const level = signalAndNoise(alphaProdAt(this.alphas, atStep(this.timesteps, stepIndex)))
    return linearCombination([level.signal, original], [level.noise, noise])
  }
}
