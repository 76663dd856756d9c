import { EngineError } from '../errors/engine-error.ts'
import type { FloatTensor } from '../tensor/tensor.ts'

/** The diffusers classes that are implemented here under the same name. */
export type SchedulerClassName =
  | 'DDIMScheduler'
  | 'DPMSolverMultistepScheduler'
  | 'EulerAncestralDiscreteScheduler'
  | 'EulerDiscreteScheduler'
  | 'LCMScheduler'
  | 'PNDMScheduler'
  | 'TCDScheduler'

/** Exactly one of: a number of steps, the timesteps themselves, or the sigmas themselves (terminal 0 included). */
export type Schedule =
  | { readonly numInferenceSteps: number }
  | { readonly timesteps: readonly number[] }
  | { readonly sigmas: readonly number[] }

/** Arguments of `set_timesteps` that only the distilled samplers (LCM, TCD) take. */
export interface ScheduleOptions {
  /** 0…1; shortens the training schedule that the steps are picked from. Default 1. */
  readonly strength?: number
  /** Length of the training schedule; default `original_inference_steps` of the config. */
  readonly originalInferenceSteps?: number
}

export interface StepInput {
  /** The (guided) model output of this step, of the shape of `sample`. */
  readonly modelOutput: FloatTensor
  /** Index into `timesteps`: 0 for a full schedule, `startIndex(…)` for a shortened one, then one more each step. */
  readonly stepIndex: number
  /** The current, not input-scaled sample. */
  readonly sample: FloatTensor
  /** Draws standard normal noise of the shape of `sample`. Called exactly when diffusers draws, at most once a step. */
  readonly drawNoise: () => FloatTensor
  /** Stochasticity of DDIM and TCD, 0…1; the other schedulers ignore it. Default 0, as in diffusers' pipelines. */
  readonly eta?: number
}

export interface StepOutput {
  readonly prevSample: FloatTensor
  /** The denoised sample predicted at this step, for previews. */
  readonly predOriginalSample: FloatTensor
}

/**
 * A sampler of diffusers, matched by value (diffusers 0.42.1). One object serves one generation: `setTimesteps` starts
 * it, `step` is called once per timestep in order. All sample arithmetic is float32, rounded operation by operation
 * as torch does on a CPU. Nothing here is random: noise comes from `drawNoise`.
 */
export interface Scheduler {
  readonly className: SchedulerClassName
  /**
   * What the model is fed at each step, descending: integers, or float32 values for Euler and Euler ancestral.
   * Empty before `setTimesteps`. The length may exceed the steps asked for (PNDM; trailing spacing at some counts).
   */
  readonly timesteps: readonly number[]
  /** Noise level before each step and after the last, for the sigma-based schedulers. */
  readonly sigmas: readonly number[] | undefined
  /** The steps asked for, or the length of a custom schedule: what `startIndex` multiplies by the strength. */
  readonly numInferenceSteps: number
  /** Standard deviation of the initial latents. */
  readonly initNoiseSigma: number
  /** Model evaluations per timestep of the schedule; 1 for every scheduler here. */
  readonly order: number
  /** @throws SchedulerError when the class does not take the argument, or its value makes no schedule */
  setTimesteps(schedule: Schedule, options?: ScheduleOptions): void
  /** The model input for `sample` at this step. */
  scaleModelInput(sample: FloatTensor, stepIndex: number): FloatTensor
  /** @throws SchedulerError when `eta` is outside the range of the class */
  step(input: StepInput): StepOutput
  /** `original` with `noise` at the level of step `stepIndex`: the start of image-to-image. */
  addNoise(original: FloatTensor, noise: FloatTensor, stepIndex: number): FloatTensor
}

/** The state that `setTimesteps` makes, and what most samplers leave as it is. */
export abstract class SchedulerBase implements Scheduler {
  abstract readonly className: SchedulerClassName
  readonly order = 1
  timesteps: readonly number[] = []
  sigmas: readonly number[] | undefined = undefined
  numInferenceSteps = 0

  get initNoiseSigma(): number {
    return 1
  }

  scaleModelInput(sample: FloatTensor, _stepIndex: number): FloatTensor {
    return sample
  }

  abstract setTimesteps(schedule: Schedule, options?: ScheduleOptions): void
  abstract step(input: StepInput): StepOutput
  abstract addNoise(original: FloatTensor, noise: FloatTensor, stepIndex: number): FloatTensor
}

/** A scheduler cannot do what was asked; `parameter` is the config key or argument to change. */
export class SchedulerError extends EngineError {
  override readonly name = 'SchedulerError'
  readonly kind = 'parameter'
  readonly scheduler: string
  override readonly parameter: string

  constructor(scheduler: string, parameter: string, problem: string) {
    super(`${scheduler}: ${problem}`)
    this.scheduler = scheduler
    this.parameter = parameter
  }
}

/** The element of a per-step table. @throws RangeError when the schedule has no such step */
export function atStep(table: readonly number[], stepIndex: number): number {
  const value = table[stepIndex]
  if (value === undefined) {
    throw new RangeError(`step ${stepIndex} is outside a schedule of ${table.length} entries; call setTimesteps first`)
  }
  return value
}
