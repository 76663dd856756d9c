import { defined } from '../tensor/defined.ts'
import { derivative, predictOriginalAtSigma, SigmaScheduler } from './euler.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprodWithFiniteSigma, noiseScheduleOptions } from './noise-schedule.ts'
import { customValues, refuseDistilledOptions, stepCount } from './schedule-arguments.ts'
import {
  atStep,
  type Schedule,
  type ScheduleOptions,
  SchedulerError,
  type StepInput,
  type StepOutput,
} from './scheduler.ts'
import { type ConfigOf, flag, integer, numberOrNull, off, oneOf, readConfig } from './scheduler-options.ts'
import { interpolate, karrasSigmas, logarithms, timestepOfLogSigma } from './sigma-schedule.ts'
import { linspace, linspaceFloat32, spacedTimesteps, TIMESTEP_SPACINGS } from './spacing.ts'

const { fround } = Math

export const EULER_DISCRETE_OPTIONS = {
  ...noiseScheduleOptions(0.0001, 0.02, 'linear'),
  prediction_type: oneOf(['epsilon', 'sample', 'v_prediction'], 'epsilon'),
  interpolation_type: oneOf(['linear', 'log_linear'], 'linear'),
  use_karras_sigmas: flag(false),
  use_exponential_sigmas: off(),
  use_beta_sigmas: off(),
  sigma_min: numberOrNull(),
  sigma_max: numberOrNull(),
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'linspace'),
  timestep_type: oneOf(['discrete'], 'discrete'),
  steps_offset: integer(0, 0),
  final_sigmas_type: oneOf(['zero', 'sigma_min'], 'zero'),
}

/** Euler's method on the probability flow (arXiv 2206.00364, algorithm 2 without churn); EulerDiscreteScheduler. */
export class EulerDiscreteScheduler extends SigmaScheduler {
  readonly className = 'EulerDiscreteScheduler'
  readonly #config: ConfigOf<typeof EULER_DISCRETE_OPTIONS>

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('EulerDiscreteScheduler', EULER_DISCRETE_OPTIONS, config)
    super(alphasCumprodWithFiniteSigma(options), options.timestep_spacing)
    this.#config = options
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    refuseDistilledOptions(this.className, options)
    if ('sigmas' in schedule) {
      this.#setSigmas(schedule.sigmas)
    } else if ('timesteps' in schedule) {
      if (this.#config.use_karras_sigmas) {
        throw new SchedulerError(this.className, 'timesteps', 'custom timesteps cannot be combined with Karras sigmas')
      }
      const { timesteps } = schedule
      this.#setSpacing(customValues(this.className, 'timesteps', timesteps), timesteps.length)
    } else {
      const count = stepCount(this.className, schedule.numInferenceSteps)
      this.#setSpacing(spacedTimesteps(this.#config, count), count)
    }
  }

  step({ modelOutput, stepIndex, sample }: StepInput): StepOutput {
    const sigma = atStep(this.sigmas, stepIndex)
    const predOriginalSample = predictOriginalAtSigma(this.#config.prediction_type, sigma, sample, modelOutput)
    const change = fround(atStep(this.sigmas, stepIndex + 1) - sigma)
    const slope = derivative(sample, predOriginalSample, sigma)
    return { prevSample: linearCombination([1, sample], [change, slope]), predOriginalSample }
  }

  #setSigmas(given: readonly number[]): void {
    const sigmas = customValues(this.className, 'sigmas', given, 2).map(fround)
    // A step divides by its sigma.
    if (!sigmas.every((sigma, i) => sigma > 0 || (sigma === 0 && i === sigmas.length - 1))) {
      throw new SchedulerError(this.className, 'sigmas', `sigmas must be positive, the last may be 0, got [${given}]`)
    }
    const logSigmas = logarithms(this.trainingSigmas)
    this.timesteps = sigmas
      .slice(0, -1)
      .map((sigma) => fround(timestepOfLogSigma(fround(Math.log(Math.max(sigma, 1e-10))), logSigmas)))
    this.sigmas = sigmas
    this.numInferenceSteps = this.timesteps.length
  }

  /** `count` differs from the length of `spaced` where trailing spacing yields a timestep more. */
  #setSpacing(spaced: readonly number[], count: number): void {
    const { interpolation_type, use_karras_sigmas, final_sigmas_type } = this.#config
    const table = this.trainingSigmas
    const timesteps = spaced.map(fround)
    const linear = interpolation_type === 'linear'
    const interpolated = linear ? timesteps.map((t) => interpolate(table, t)) : logLinearSigmas(table, count)
    const sigmas = use_karras_sigmas ? this.#karras(interpolated, count) : interpolated
    const final = final_sigmas_type === 'zero' ? 0 : defined(table[0])
    const logSigmas = logarithms(table)
    this.timesteps = use_karras_sigmas
      ? sigmas.map((sigma) => fround(timestepOfLogSigma(Math.log(Math.max(sigma, 1e-10)), logSigmas)))
      : timesteps
    this.sigmas = [...sigmas, final].map(fround)
    this.numInferenceSteps = count
  }

  /** Between the ends of the interpolated sigmas, unless the config sets its own. */
  #karras(interpolated: readonly number[], count: number): number[] {
    const { sigma_min, sigma_max } = this.#config
    const largest = sigma_max ?? defined(interpolated[0])
    const smallest = sigma_min ?? defined(interpolated[interpolated.length - 1])
    return karrasSigmas(largest, smallest, linspace(0, 1, count))
  }
}

/** N + 1 levels, evenly spaced in their logarithm from the largest to the smallest of training. */
function logLinearSigmas(table: Float32Array, count: number): number[] {
  const logSigmas = logarithms(table)
  const largest = defined(logSigmas[logSigmas.length - 1])
  return Array.from(linspaceFloat32(largest, defined(logSigmas[0]), count + 1), (value) => fround(Math.exp(value)))
}
