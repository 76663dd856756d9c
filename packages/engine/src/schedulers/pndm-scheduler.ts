import { defined } from '../tensor/defined.ts'
import { type FloatTensor, map } from '../tensor/tensor.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprod, noiseScheduleOptions } from './noise-schedule.ts'
import { stepsOnly } from './schedule-arguments.ts'
import {
  atStep,
  type Schedule,
  type ScheduleOptions,
  SchedulerError,
  type StepInput,
  type StepOutput,
} from './scheduler.ts'
import { type ConfigOf, flag, integer, oneOf, readConfig } from './scheduler-options.ts'
import { integerTimesteps, TIMESTEP_SPACINGS } from './spacing.ts'
import { alphaProdAt, predictEpsilon, predictOriginal, VariancePreservingScheduler } from './variance-preserving.ts'

const { fround, sqrt } = Math

/** The class has no zero-SNR rescaling: the key is left out and so, like there, ignored in a checkpoint's config. */
const { rescale_betas_zero_snr: _, ...noiseOptions } = noiseScheduleOptions(0.0001, 0.02, 'linear')

export const PNDM_OPTIONS = {
  ...noiseOptions,
  skip_prk_steps: flag(false),
  set_alpha_to_one: flag(false),
  prediction_type: oneOf(['epsilon', 'v_prediction'], 'epsilon'),
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'leading'),
  steps_offset: integer(0, 0),
}

/** Steps that the Runge-Kutta warm-up takes, each of four evaluations. */
const WARM_UP_STEPS = 3
/** The evaluations of one Runge-Kutta step: its weight in the sum of them. */
const RUNGE_KUTTA_WEIGHTS = [1 / 6, 1 / 3, 1 / 3, 1 / 6] as const

/**
 * Pseudo linear multistep (PLMS; arXiv 2202.09778, formula 9); diffusers' PNDMScheduler. With `skip_prk_steps`, as Stable Diffusion has it,
 * the second timestep is there twice and the model is evaluated N + 1 times; without, the first three steps are of pseudo Runge-Kutta
 * (formula 13) and it is N + 9.
 */
export class PNDMScheduler extends VariancePreservingScheduler {
  readonly className = 'PNDMScheduler'
  readonly #config: ConfigOf<typeof PNDM_OPTIONS>
  readonly #finalAlphaProd: number
  /** Steps taken. Image-to-image that starts late still warms up from 0, as in diffusers. */
  #counter = 0
  #firstSample: FloatTensor | undefined
  /** The last model outputs, oldest first, at most 4. */
  #outputs: FloatTensor[] = []
  /** Timesteps of the warm-up; empty where it is skipped. */
  #warmUp: readonly number[] = []
  /** The weighted sum of the present Runge-Kutta step's outputs. */
  #sum: FloatTensor | undefined

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('PNDMScheduler', PNDM_OPTIONS, config)
    super(alphasCumprod({ ...options, rescale_betas_zero_snr: false }))
    this.#config = options
    this.#finalAlphaProd = options.set_alpha_to_one ? 1 : alphaProdAt(this.alphas, 0)
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    const count = stepsOnly(this.className, schedule, options)
    const spaced = integerTimesteps(this.className, this.#config, count)
    if (this.#config.skip_prk_steps) {
      this.timesteps = [...spaced.slice(0, 2), ...spaced.slice(1)]
    } else {
      this.#warmUp = warmUpTimesteps(this.className, spaced, this.#halfInterval(count))
      this.timesteps = [...this.#warmUp, ...spaced.slice(WARM_UP_STEPS)]
    }
    this.numInferenceSteps = count
    this.#counter = 0
    this.#firstSample = undefined
    this.#outputs = []
    this.#sum = undefined
  }

  step(input: StepInput): StepOutput {
    return this.#counter < this.#warmUp.length ? this.#rungeKuttaStep(input) : this.#multistep(input)
  }

  #halfInterval(count: number): number {
    return Math.floor(Math.floor(this.#config.num_train_timesteps / count) / 2)
  }

  /**
   * One of the four evaluations of a step: the first three move from where the step began along their own output, the last along the weighted
   * sum of all. Where the step began is told by the count of evaluations: image-to-image that starts late keeps the first timesteps, as in
   * diffusers.
   */
  #rungeKuttaStep({ modelOutput, stepIndex, sample }: StepInput): StepOutput {
    const evaluation = this.#counter % 4
    const begin = defined(this.#warmUp[this.#counter - evaluation])
    const reach = evaluation % 2 === 0 ? this.#halfInterval(this.numInferenceSteps) : 0
    const weight = defined(RUNGE_KUTTA_WEIGHTS[evaluation])
    this.#sum =
      this.#sum === undefined
        ? linearCombination([weight, modelOutput])
        : linearCombination([1, this.#sum], [weight, modelOutput])
    if (evaluation === 0) {
      this.#firstSample = sample
      this.#outputs = [...this.#outputs, modelOutput]
    }
    this.#counter++
    const output = evaluation === 3 ? this.#sum : modelOutput
    if (evaluation === 3) this.#sum = undefined
    return this.#transfer(this.#firstSample ?? sample, begin, atStep(this.timesteps, stepIndex) - reach, output)
  }

  #multistep({ modelOutput, stepIndex, sample }: StepInput): StepOutput {
    const timestep = atStep(this.timesteps, stepIndex)
    const interval = Math.floor(this.#config.num_train_timesteps / this.numInferenceSteps)
    const firstOutput = this.#outputs[0]
    if (this.#counter++ === 1 && firstOutput && this.#firstSample) {
      // The second evaluation redoes the first interval with the mean of both outputs, and leaves no trace of its own.
      const mean = map((a, b) => fround(a + b) / 2, modelOutput, firstOutput)
      return this.#transfer(this.#firstSample, timestep + interval, timestep, mean)
    }
    this.#firstSample ??= sample
    this.#outputs = [...this.#outputs.slice(-3), modelOutput]
    return this.#transfer(sample, timestep, timestep - interval, combineOutputs(this.#outputs))
  }

  /** Formula 9: from `timestep` to `previousTimestep` along the combined model output. */
  #transfer(sample: FloatTensor, timestep: number, previousTimestep: number, output: FloatTensor): StepOutput {
    const alphaProd = alphaProdAt(this.alphas, timestep)
    const previous = previousTimestep >= 0 ? alphaProdAt(this.alphas, previousTimestep) : this.#finalAlphaProd
    const betaProd = fround(1 - alphaProd)
    const epsilon = predictEpsilon(this.#config.prediction_type, alphaProd, sample, output)
    const sampleFactor = fround(sqrt(fround(previous / alphaProd)))
    const difference = fround(previous - alphaProd)
    const denominator = fround(
      fround(alphaProd * fround(sqrt(fround(1 - previous)))) +
        fround(sqrt(fround(fround(alphaProd * betaProd) * previous))),
    )
    return {
      prevSample: map(
        (x, e) => fround(sampleFactor * x) - fround(fround(difference * e) / denominator),
        sample,
        epsilon,
      ),
      predOriginalSample: predictOriginal(this.#config.prediction_type, alphaProd, sample, output),
    }
  }
}

/**
 * Of each step its beginning, its middle twice, and its end, which is evaluated again as the next one's beginning.
 * @param spaced descending
 * @throws SchedulerError for fewer timesteps than the warm-up has
 */
function warmUpTimesteps(className: string, spaced: readonly number[], half: number): number[] {
  if (spaced.length <= WARM_UP_STEPS) {
    const problem = `expected more than ${WARM_UP_STEPS} steps, which the Runge-Kutta warm-up takes, got ${spaced.length}`
    throw new SchedulerError(className, 'num_inference_steps', problem)
  }
  return Array.from({ length: WARM_UP_STEPS }, (_, i) => {
    const [begin, end] = [defined(spaced[i]), defined(spaced[i + 1])]
    return [begin, end + half, end + half, end]
  }).flat()
}

/** Adams-Bashforth of the order that the history (oldest first) allows, up to 4. */
function combineOutputs(outputs: readonly FloatTensor[]): FloatTensor {
  const [e0, e1, e2, e3] = outputs.toReversed()
  if (e0 && e1 && e2 && e3) return scaled(linearCombination([55, e0], [-59, e1], [37, e2], [-9, e3]), 1 / 24)
  if (e0 && e1 && e2) return divided(linearCombination([23, e0], [-16, e1], [5, e2]), 12)
  if (e0 && e1) return divided(linearCombination([3, e0], [-1, e1]), 2)
  if (e0) return e0
  throw new RangeError('no model output to combine')
}

function scaled(tensor: FloatTensor, factor: number): FloatTensor {
  return linearCombination([factor, tensor])
}

function divided(tensor: FloatTensor, divisor: number): FloatTensor {
  return map((value) => value / divisor, tensor)
}
