import { lcmTimesteps } from './distilled-timesteps.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprod, noiseScheduleOptions } from './noise-schedule.ts'
import { atStep, type Schedule, type ScheduleOptions, type StepInput, type StepOutput } from './scheduler.ts'
import { type ConfigOf, flag, integer, number, oneOf, readConfig } from './scheduler-options.ts'
import { TIMESTEP_SPACINGS } from './spacing.ts'
import { CLIPPING_OPTIONS, THRESHOLDING_OPTIONS, thresholdOrClip } from './thresholding.ts'
import { alphaProdAt, predictOriginal, signalAndNoise, VariancePreservingScheduler } from './variance-preserving.ts'

const { fround, sqrt } = Math

/** Data standard deviation of the consistency boundary conditions, fixed in the class. */
const SIGMA_DATA = 0.5

export const LCM_OPTIONS = {
  ...noiseScheduleOptions(0.00085, 0.012, 'scaled_linear'),
  ...THRESHOLDING_OPTIONS,
  ...CLIPPING_OPTIONS,
  original_inference_steps: integer(50, 1),
  clip_sample: flag(false),
  prediction_type: oneOf(['epsilon', 'sample', 'v_prediction'], 'epsilon'),
  timestep_scaling: number(10),
  // Keys of the class without any effect in it: LCM has a spacing and an end of its own.
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'leading'),
  steps_offset: integer(0, 0),
  set_alpha_to_one: flag(true),
}

/** Latent consistency sampling (arXiv 2310.04378); diffusers' LCMScheduler. */
export class LCMScheduler extends VariancePreservingScheduler {
  readonly className = 'LCMScheduler'
  readonly #config: ConfigOf<typeof LCM_OPTIONS>
  #lastStepIndex = 0

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('LCMScheduler', LCM_OPTIONS, config)
    super(alphasCumprod(options))
    this.#config = options
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    const { timesteps, lastStepIndex } = lcmTimesteps(this.className, this.#config, schedule, options)
    this.timesteps = timesteps
    this.numInferenceSteps = timesteps.length
    this.#lastStepIndex = lastStepIndex
  }

  step({ modelOutput, stepIndex, sample, drawNoise }: StepInput): StepOutput {
    const timestep = atStep(this.timesteps, stepIndex)
    const alphaProd = alphaProdAt(this.alphas, timestep)
    const predicted = predictOriginal(this.#config.prediction_type, alphaProd, sample, modelOutput)
    const original = thresholdOrClip(predicted, this.#config)
    const { skip, out } = this.#boundaryConditions(timestep)
    const denoised = linearCombination([out, original], [skip, sample])
    if (stepIndex === this.#lastStepIndex) return { prevSample: denoised, predOriginalSample: denoised }
    const previous = signalAndNoise(alphaProdAt(this.alphas, this.timesteps[stepIndex + 1] ?? timestep))
    return {
      prevSample: linearCombination([previous.signal, denoised], [previous.noise, drawNoise()]),
      predOriginalSample: denoised,
    }
  }

  /** c_skip and c_out of the consistency function at a timestep. */
  #boundaryConditions(timestep: number): { readonly skip: number; readonly out: number } {
    const scaled = fround(timestep * fround(this.#config.timestep_scaling))
    const sum = fround(fround(scaled ** 2) + SIGMA_DATA ** 2)
    return { skip: fround(SIGMA_DATA ** 2 / sum), out: fround(scaled / fround(sqrt(sum))) }
  }
}
