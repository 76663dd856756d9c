import type { FloatTensor } from '../tensor/tensor.ts'
import { dpmSolverTimesteps } from './dpm-solver-timesteps.ts'
import { firstOrderUpdate, levelOf, secondOrderUpdate, thirdOrderUpdate } from './dpm-solver-updates.ts'
import { linearCombination } from './linear-combination.ts'
import { alphasCumprodWithFiniteSigma, noiseScheduleOptions } from './noise-schedule.ts'
import { refuseDistilledOptions, withoutSigmas } from './schedule-arguments.ts'
import {
  atStep,
  type Schedule,
  type ScheduleOptions,
  SchedulerBase,
  type StepInput,
  type StepOutput,
} from './scheduler.ts'
import { type ConfigOf, flag, integer, numberOrNull, off, oneOf, readConfig } from './scheduler-options.ts'
import { TIMESTEP_SPACINGS } from './spacing.ts'
import { dynamicThreshold, THRESHOLDING_OPTIONS } from './thresholding.ts'
import { dividedDifference } from './variance-preserving.ts'

/** Below this many steps, `lower_order_final` ends with lower orders for stability. */
const FEW_STEPS = 15

export const DPM_SOLVER_MULTISTEP_OPTIONS = {
  ...noiseScheduleOptions(0.0001, 0.02, 'linear'),
  ...THRESHOLDING_OPTIONS,
  solver_order: oneOf([1, 2, 3], 2),
  prediction_type: oneOf(['epsilon', 'sample', 'v_prediction'], 'epsilon'),
  algorithm_type: oneOf(['dpmsolver++', 'sde-dpmsolver++'], 'dpmsolver++'),
  // The solver types of DEIS and UniPC checkpoints mean midpoint, as in the class.
  solver_type: oneOf(['midpoint', 'heun', 'logrho', 'bh1', 'bh2'], 'midpoint'),
  lower_order_final: flag(true),
  euler_at_final: flag(false),
  use_karras_sigmas: flag(false),
  use_exponential_sigmas: off(),
  use_beta_sigmas: off(),
  use_lu_lambdas: flag(false),
  use_flow_sigmas: off(),
  use_dynamic_shifting: off(),
  // No parameters of the class, yet it reads them off a config that carries them.
  sigma_min: numberOrNull(),
  sigma_max: numberOrNull(),
  final_sigmas_type: oneOf(['zero', 'sigma_min'], 'zero'),
  lambda_min_clipped: lambdaOption(),
  variance_type: oneOf([null], null),
  timestep_spacing: oneOf(TIMESTEP_SPACINGS, 'linspace'),
  steps_offset: integer(0, 0),
}

/** λ can be −∞, which JSON cannot say: Python writes the bare word, readers may hand on the string. */
function lambdaOption() {
  return {
    default: Number.NEGATIVE_INFINITY,
    expected: 'a number or "-Infinity"',
    parse: (value: unknown) =>
      value === '-Infinity' || value === '-inf' || value === null
        ? Number.NEGATIVE_INFINITY
        : typeof value === 'number' && !Number.isNaN(value)
          ? value
          : undefined,
  }
}

/**
 * DPM-Solver++ and its stochastic form, multistep, orders 1 to 3 (arXiv 2211.01095); diffusers'
 * DPMSolverMultistepScheduler. The stochastic form draws noise on every step, the last included.
 */
export class DPMSolverMultistepScheduler extends SchedulerBase {
  readonly className = 'DPMSolverMultistepScheduler'
  override sigmas: readonly number[] = []
  readonly #config: ConfigOf<typeof DPM_SOLVER_MULTISTEP_OPTIONS>
  readonly #alphas: Float32Array
  /** Predicted originals of the last steps, newest first, at most `solver_order`. */
  #originals: readonly FloatTensor[] = []

  constructor(config: Readonly<Record<string, unknown>> = {}) {
    const options = readConfig('DPMSolverMultistepScheduler', DPM_SOLVER_MULTISTEP_OPTIONS, config)
    super()
    this.#config = options
    this.#alphas = alphasCumprodWithFiniteSigma(options)
  }

  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void {
    refuseDistilledOptions(this.className, options)
    const wanted = withoutSigmas(this.className, schedule)
    const { timesteps, sigmas } = dpmSolverTimesteps(this.className, this.#config, this.#alphas, wanted)
    this.timesteps = timesteps
    this.sigmas = sigmas
    this.numInferenceSteps = 'timesteps' in wanted ? timesteps.length : wanted.numInferenceSteps
    this.#originals = []
  }

  step({ modelOutput, stepIndex, sample, drawNoise }: StepInput): StepOutput {
    const { solver_order, algorithm_type, solver_type } = this.#config
    const predOriginalSample = this.#predictOriginal(sample, modelOutput, stepIndex)
    this.#originals = [predOriginalSample, ...this.#originals].slice(0, solver_order)
    const order = Math.min(this.#originals.length, this.#highestOrder(stepIndex))
    // Noise levels from the one to reach back to those of the originals used, newest first.
    const levels = Array.from({ length: order + 1 }, (_, i) => levelOf(atStep(this.sigmas, stepIndex + 1 - i)))
    const noise = algorithm_type === 'sde-dpmsolver++' ? drawNoise() : undefined
    const update = { sample, originals: this.#originals, levels, noise, heun: solver_type === 'heun' }
    const solve = order === 1 ? firstOrderUpdate : order === 2 ? secondOrderUpdate : thirdOrderUpdate
    return { prevSample: solve(update), predOriginalSample }
  }

  addNoise(original: FloatTensor, noise: FloatTensor, stepIndex: number): FloatTensor {
    const { alpha, sigma } = levelOf(atStep(this.sigmas, stepIndex))
    return linearCombination([alpha, original], [sigma, noise])
  }

  /** The order that the end of the schedule allows: 1 for the last step, 2 before it, when the config says so. */
  #highestOrder(stepIndex: number): number {
    const { euler_at_final, lower_order_final, final_sigmas_type, solver_order } = this.#config
    const stepsLeft = this.timesteps.length - stepIndex
    const lowerOrder = lower_order_final && this.timesteps.length < FEW_STEPS
    if (stepsLeft === 1 && (euler_at_final || lowerOrder || final_sigmas_type === 'zero')) return 1
    if (stepsLeft === 2 && lowerOrder) return 2
    return solver_order
  }

  #predictOriginal(sample: FloatTensor, modelOutput: FloatTensor, stepIndex: number): FloatTensor {
    const original = this.#convertModelOutput(sample, modelOutput, stepIndex)
    return this.#config.thresholding ? dynamicThreshold(original, this.#config) : original
  }

  #convertModelOutput(sample: FloatTensor, modelOutput: FloatTensor, stepIndex: number): FloatTensor {
    const { alpha, sigma } = levelOf(atStep(this.sigmas, stepIndex))
    switch (this.#config.prediction_type) {
      case 'epsilon':
        return dividedDifference(sample, sigma, modelOutput, alpha)
      case 'sample':
        return modelOutput
      case 'v_prediction':
        return linearCombination([alpha, sample], [-sigma, modelOutput])
    }
  }
}
