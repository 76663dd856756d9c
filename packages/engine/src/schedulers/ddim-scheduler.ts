import { linearCombination } from './linear-combination.ts'
import { alphasCumprod, noiseScheduleOptions } from './noise-schedule.ts'
import { stepsOnly } from './schedule-arguments.ts'
import { atStep, type Schedule, type ScheduleOptions, type StepInput, type StepOutput } from './scheduler.ts'
import { type ConfigOf, flag, integer, oneOf, readConfig } from './scheduler-options.ts'
import { integerTimesteps, TIMESTEP_SPACINGS } from './spacing.ts'
import { CLIPPING_OPTIONS, THRESHOLDING_OPTIONS, thresholdOrClip } from './thresholding.ts'
import { alphaProdAt, predictEpsilon, predictOriginal, VariancePreservingScheduler } from './variance-preserving.ts'

const { fround, sqrt } = Math

export const DDIM_OPTIONS = {
  ...noiseScheduleOptions(0.0001, 0.02, 'linear'),
  ...THRESHOLDING_OPTIONS,
  ...CLIPPING_OPTIONS,
  clip_sample: flag(true),
  set_alpha_to_one: flag(true),
  steps_offset: integer(0, 0),
  prediction_type: oneOf(['epsilon', 'sample', 'v_prediction'], 'epsilon'),
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'leading'),
}

/** Denoising diffusion implicit models (arXiv 2010.02502, formulas 12 and 16); diffusers' DDIMScheduler. */
export class DDIMScheduler extends VariancePreservingScheduler {
  readonly className = 'DDIMScheduler'
  readonly #config: ConfigOf<typeof DDIM_OPTIONS>
  readonly #finalAlphaProd: number

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('DDIMScheduler', DDIM_OPTIONS, config)
    super(alphasCumprod(options))
    this.#config = options
    this.#finalAlphaProd = options.set_alpha_to_one ? 1 : alphaProdAt(this.alphas, 0)
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    const count = stepsOnly(this.className, schedule, options, this.#config.num_train_timesteps)
    this.timesteps = integerTimesteps(this.className, this.#config, count)
    this.numInferenceSteps = count
  }

  step({ modelOutput, stepIndex, sample, drawNoise, eta = 0 }: StepInput): StepOutput {
    const timestep = atStep(this.timesteps, stepIndex)
    const previousTimestep = timestep - Math.floor(this.#config.num_train_timesteps / this.numInferenceSteps)
    const alphaProd = alphaProdAt(this.alphas, timestep)
    const previous = previousTimestep >= 0 ? alphaProdAt(this.alphas, previousTimestep) : this.#finalAlphaProd

    const predicted = predictOriginal(this.#config.prediction_type, alphaProd, sample, modelOutput)
    const predOriginalSample = thresholdOrClip(predicted, this.#config)
    const epsilon = predictEpsilon(this.#config.prediction_type, alphaProd, sample, modelOutput)

    const deviation = fround(fround(eta) * fround(sqrt(variance(alphaProd, previous))))
    // At eta 1 from zero signal this is 0 in theory and below it by rounding in float32, where diffusers makes NaN.
    const direction = fround(sqrt(Math.max(fround(fround(1 - previous) - fround(deviation ** 2)), 0)))
    const prevSample = linearCombination([fround(sqrt(previous)), predOriginalSample], [direction, epsilon])
    if (eta <= 0) return { prevSample, predOriginalSample }
    return { prevSample: linearCombination([1, prevSample], [deviation, drawNoise()]), predOriginalSample }
  }
}

/** (1−ᾱ₋)/(1−ᾱ) · (1−ᾱ/ᾱ₋): the variance of the step from ᾱ to ᾱ₋ at eta 1. */
function variance(alphaProd: number, previous: number): number {
  const noiseRatio = fround(fround(1 - previous) / fround(1 - alphaProd))
  return fround(noiseRatio * fround(1 - fround(alphaProd / previous)))
}
