import { tcdTimesteps } from './distilled-timesteps.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprod, noiseScheduleOptions } from './noise-schedule.ts'
import {
  atStep,
  type Schedule,
  type ScheduleOptions,
  SchedulerError,
  type StepInput,
  type StepOutput,
} from './scheduler.ts'
import { type ConfigOf, flag, integer, number, oneOf, readConfig } from './scheduler-options.ts'
import { TIMESTEP_SPACINGS } from './spacing.ts'
import { CLIPPING_OPTIONS, THRESHOLDING_OPTIONS } from './thresholding.ts'
import {
  alphaProdAt,
  predictEpsilon,
  predictOriginal,
  signalAndNoise,
  VariancePreservingScheduler,
} from './variance-preserving.ts'

const { fround, sqrt } = Math

export const TCD_OPTIONS = {
  ...noiseScheduleOptions(0.00085, 0.012, 'scaled_linear'),
  original_inference_steps: integer(50, 1),
  prediction_type: oneOf(['epsilon', 'sample', 'v_prediction'], 'epsilon'),
  // Keys of the class without any effect in it: its step neither clips nor thresholds, and its spacing is its own.
  ...THRESHOLDING_OPTIONS,
  ...CLIPPING_OPTIONS,
  clip_sample: flag(false),
  timestep_scaling: number(10),
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'leading'),
  steps_offset: integer(0, 0),
  set_alpha_to_one: flag(true),
}

/** Trajectory consistency sampling (arXiv 2402.19159), whose γ is `eta`; diffusers' TCDScheduler. */
export class TCDScheduler extends VariancePreservingScheduler {
  readonly className = 'TCDScheduler'
  readonly #config: ConfigOf<typeof TCD_OPTIONS>
  #lastStepIndex = 0

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('TCDScheduler', TCD_OPTIONS, config)
    super(alphasCumprod(options))
    this.#config = options
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    const { timesteps, lastStepIndex } = tcdTimesteps(this.className, this.#config, schedule, options)
    this.timesteps = timesteps
    this.numInferenceSteps = timesteps.length
    this.#lastStepIndex = lastStepIndex
  }

  step({ modelOutput, stepIndex, sample, drawNoise, eta = 0 }: StepInput): StepOutput {
    if (!(eta >= 0 && eta <= 1)) {
      throw new SchedulerError(this.className, 'eta', `eta (gamma) must be between 0 and 1, got ${eta}`)
    }
    const alphaProd = alphaProdAt(this.alphas, atStep(this.timesteps, stepIndex))
    const predOriginalSample = predictOriginal(this.#config.prediction_type, alphaProd, sample, modelOutput)
    const epsilon = predictEpsilon(this.#config.prediction_type, alphaProd, sample, modelOutput)

    const previousTimestep = this.timesteps[stepIndex + 1] ?? 0
    // torch multiplies an integer tensor by a Python float in float32.
    const noisedTimestep = Math.floor(fround(fround(1 - eta) * previousTimestep))
    const noisedAlphaProd = alphaProdAt(this.alphas, noisedTimestep)
    const noised = signalAndNoise(noisedAlphaProd)
    const noisedSample = linearCombination([noised.signal, predOriginalSample], [noised.noise, epsilon])
    if (eta === 0 || stepIndex === this.#lastStepIndex) return { prevSample: noisedSample, predOriginalSample }

    const ratio = fround(alphaProdAt(this.alphas, previousTimestep) / noisedAlphaProd)
    const prevSample = linearCombination([sqrt(ratio), noisedSample], [sqrt(fround(1 - ratio)), drawNoise()])
    return { prevSample, predOriginalSample }
  }
}
