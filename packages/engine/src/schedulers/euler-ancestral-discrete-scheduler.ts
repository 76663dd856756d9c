import { derivative, predictOriginalAtSigma, SigmaScheduler } from './euler.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprodWithFiniteSigma, noiseScheduleOptions } from './noise-schedule.ts'
import { stepsOnly } from './schedule-arguments.ts'
import { atStep, type Schedule, type ScheduleOptions, type StepInput, type StepOutput } from './scheduler.ts'
import { type ConfigOf, integer, oneOf, readConfig } from './scheduler-options.ts'
import { interpolate } from './sigma-schedule.ts'
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
export class EulerAncestralDiscreteScheduler extends SigmaScheduler {
  readonly className = 'EulerAncestralDiscreteScheduler'
  readonly #config: ConfigOf<typeof EULER_ANCESTRAL_DISCRETE_OPTIONS>

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('EulerAncestralDiscreteScheduler', EULER_ANCESTRAL_DISCRETE_OPTIONS, config)
    super(alphasCumprodWithFiniteSigma(options), options.timestep_spacing)
    this.#config = options
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    const count = stepsOnly(this.className, schedule, options)
    this.timesteps = spacedTimesteps(this.#config, count).map(fround)
    this.sigmas = [...this.timesteps.map((t) => interpolate(this.trainingSigmas, t)), 0].map(fround)
    this.numInferenceSteps = count
  }

  step({ modelOutput, stepIndex, sample, drawNoise }: StepInput): StepOutput {
    const sigma = atStep(this.sigmas, stepIndex)
    const { up, down } = ancestralSigmas(sigma, atStep(this.sigmas, stepIndex + 1))
    const predOriginalSample = predictOriginalAtSigma(this.#config.prediction_type, sigma, sample, modelOutput)
    const slope = derivative(sample, predOriginalSample, sigma)
    return {
      prevSample: linearCombination([1, sample], [fround(down - sigma), slope], [up, drawNoise()]),
      predOriginalSample,
    }
  }
}

/** How far the Euler step goes down and how much noise comes back up, so that the level ends at `to`. */
function ancestralSigmas(from: number, to: number): { readonly up: number; readonly down: number } {
  const fromVariance = fround(from ** 2)
  const toVariance = fround(to ** 2)
  const up = fround(sqrt(fround(fround(toVariance * fround(fromVariance - toVariance)) / fromVariance)))
  return { up, down: fround(sqrt(fround(toVariance - fround(up ** 2)))) }
}
