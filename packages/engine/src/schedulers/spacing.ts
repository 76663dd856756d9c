import { roundHalfEven } from '../tensor/round-half-even.ts'
import { SchedulerError } from './scheduler.ts'

const { fround } = Math

/**
 * torch.linspace in float32: both halves count from their own end, each element one fused multiply-add. A double
 * holds the product of an index and a float32 exactly, so rounding its sum once to float32 gives the fused result.
 */
export function linspaceFloat32(start: number, end: number, count: number): Float32Array {
  const first = fround(start)
  const last = fround(end)
  if (count === 1) return Float32Array.of(first)
  const step = fround(fround(last - first) / (count - 1))
  return Float32Array.from({ length: count }, (_, i) =>
    i < Math.trunc(count / 2) ? first + step * i : last - step * (count - 1 - i),
  )
}

/** numpy.linspace in double; with one element only `start`, whatever the end. */
export function linspace(start: number, end: number, count: number): number[] {
  const step = (end - start) / (count - 1)
  return Array.from({ length: count }, (_, i) => (i === 0 ? start : i === count - 1 ? end : i * step + start))
}

/**
 * numpy.arange in double. The length is decided by division and the elements by multiplication, so that rounding can
 * add an element next to `stop` (arange(1000, 0, −1000/61) has 62): the schedules of diffusers have it, too.
 */
export function arange(start: number, stop: number, step: number): number[] {
  const spacing = start + step - start
  return Array.from({ length: Math.ceil((stop - start) / step) }, (_, i) => start + i * spacing)
}

export type TimestepSpacing = 'linspace' | 'leading' | 'trailing'

export const TIMESTEP_SPACINGS: readonly TimestepSpacing[] = ['linspace', 'leading', 'trailing']

export interface SpacingConfig {
  readonly num_train_timesteps: number
  readonly timestep_spacing: TimestepSpacing
  readonly steps_offset: number
}

/**
 * Descending timesteps of Euler, Euler ancestral, DDIM and PNDM (arXiv 2305.08891, table 2); `linspace` is not yet
 * rounded to integers. DPM++ spaces its own way.
 */
export function spacedTimesteps(config: SpacingConfig, numInferenceSteps: number): number[] {
  const { num_train_timesteps: total } = config
  switch (config.timestep_spacing) {
    case 'linspace':
      return linspace(0, total - 1, numInferenceSteps).reverse()
    case 'leading': {
      const ratio = Math.floor(total / numInferenceSteps)
      return Array.from({ length: numInferenceSteps }, (_, i) => i * ratio + config.steps_offset).reverse()
    }
    case 'trailing':
      return arange(total, 0, -total / numInferenceSteps).map((t) => roundHalfEven(t) - 1)
  }
}

/**
 * `spacedTimesteps` rounded to integers, for the schedulers that look their coefficients up by timestep.
 * @throws SchedulerError when a timestep lies beyond training (leading spacing with an offset, at the full count)
 */
export function integerTimesteps(className: string, config: SpacingConfig, numInferenceSteps: number): number[] {
  const timesteps = spacedTimesteps(config, numInferenceSteps).map(roundHalfEven)
  const [first = 0] = timesteps
  if (first >= config.num_train_timesteps) {
    throw new SchedulerError(
      className,
      'num_inference_steps',
      `${numInferenceSteps} steps with steps_offset ${config.steps_offset} start at timestep ${first}, beyond the ` +
        `${config.num_train_timesteps} of training; ask for fewer steps`,
    )
  }
  return timesteps
}
