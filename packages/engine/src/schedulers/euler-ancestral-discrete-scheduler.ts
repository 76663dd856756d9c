import type { FloatTensor } from '../tensor/tensor.ts'
import { type ConfigOf, integer, oneOf, readConfig } from './config.ts'
import { addSigmaNoise, derivative, initNoiseSigma, predictOriginalAtSigma, scaleBySigma } from './euler.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprodWithFiniteSigma, noiseScheduleOptions } from './noise-schedule.ts'
import { stepsOnly } from './schedule-arguments.ts'
import {
  atStep,
  type Schedule,
  type ScheduleOptions,
  type Scheduler,
  type StepInput,
  type StepOutput,
} from './scheduler.ts'
import { interpolate, trainingSigmas } from './sigma-schedule.ts'
import { spacedTimesteps, TIMESTEP_SPACINGS } from './spacing.ts'

const { fround, sqrt } = Math

export const EULER_ANCESTRAL_DISCRETE_OPTIONS = {
  ...noiseScheduleOptions(0.0001, 0.02, 'linear'),
  prediction_type: oneOf(['epsilon', 'v_prediction'], 'epsilon'),
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'linspace'),
  steps_offset: integer(0, 0),
}

/**
 * Euler's method with ancestral noise; diffusers' EulerAncestralDiscreteScheduler. Noise is drawn on every step, the
 * last included, where its factor is 0.
 */
export class EulerAncestralDiscreteScheduler implements Scheduler {
  readonly className = 'EulerAncestralDiscreteScheduler'
  readonly order = 1
  timesteps: readonly number[] = []
  numInferenceSteps = 0
  sigmas: readonly number[] = []
  private readonly config: ConfigOf<typeof EULER_ANCESTRAL_DISCRETE_OPTIONS>
  private readonly trainingSigmas: Float32Array

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    this.config = readConfig(this.className, EULER_ANCESTRAL_DISCRETE_OPTIONS, config)
    this.trainingSigmas = trainingSigmas(alphasCumprodWithFiniteSigma(this.config))
  }

  get initNoiseSigma(): number {
    return initNoiseSigma(this.sigmas, this.config.timestep_spacing)
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    const count = stepsOnly(this.className, schedule, options)
    this.timesteps = spacedTimesteps(this.config, count).map(fround)
    this.sigmas = [...this.timesteps.map((t) => interpolate(this.trainingSigmas, t)), 0].map(fround)
    this.numInferenceSteps = count
  }

  scaleModelInput(sample: FloatTensor, stepIndex: number): FloatTensor {
    return scaleBySigma(sample, atStep(this.sigmas, stepIndex))
  }

  step({ modelOutput, stepIndex, sample, drawNoise }: StepInput): StepOutput {
    const sigma = atStep(this.sigmas, stepIndex)
    const { up, down } = ancestralSigmas(sigma, atStep(this.sigmas, stepIndex + 1))
    const predOriginalSample = predictOriginalAtSigma(this.config.prediction_type, sigma, sample, modelOutput)
    const slope = derivative(sample, predOriginalSample, sigma)
    return {
      prevSample: linearCombination([1, sample], [fround(down - sigma), slope], [up, drawNoise()]),
      predOriginalSample,
    }
  }

  addNoise(original: FloatTensor, noise: FloatTensor, stepIndex: number): FloatTensor {
    return addSigmaNoise(original, noise, atStep(this.sigmas, stepIndex))
  }
}

/** How far the Euler step goes down and how much noise comes back up, so that the level ends at `to`. */
function ancestralSigmas(from: number, to: number): { readonly up: number; readonly down: number } {
  const fromVariance = fround(from ** 2)
  const toVariance = fround(to ** 2)
  const up = fround(sqrt(fround(fround(toVariance * fround(fromVariance - toVariance)) / fromVariance)))
  return { up, down: fround(sqrt(fround(toVariance - fround(up ** 2)))) }
}
