import { type Schedule, type ScheduleOptions, SchedulerError } from './scheduler.ts'

/** The number of steps of a schedule for a class that takes neither custom timesteps nor sigmas. */
export function stepsOnly(
  className: string,
  schedule: Schedule,
  options: ScheduleOptions | undefined,
  maximum?: number,
): number {
  refuseDistilledOptions(className, options)
  const { numInferenceSteps } = withoutTimesteps(className, withoutSigmas(className, schedule))
  return stepCount(className, numInferenceSteps, maximum)
}

type WithoutSigmas = Exclude<Schedule, { readonly sigmas: readonly number[] }>
type StepsOnly = Exclude<WithoutSigmas, { readonly timesteps: readonly number[] }>

/** @throws SchedulerError when the schedule is one of sigmas */
export function withoutSigmas(className: string, schedule: Schedule): WithoutSigmas {
  if ('sigmas' in schedule) {
    throw new SchedulerError(
      className,
      'sigmas',
      'custom sigmas are not supported by this scheduler; drop them or choose Euler',
    )
  }
  return schedule
}

function withoutTimesteps(className: string, schedule: WithoutSigmas): StepsOnly {
  if ('timesteps' in schedule) {
    throw new SchedulerError(
      className,
      'timesteps',
      'custom timesteps are not supported by this scheduler; drop them or choose Euler, DPM++ 2M, LCM or TCD',
    )
  }
  return schedule
}

/** @throws SchedulerError when an option is set that only LCM and TCD take */
export function refuseDistilledOptions(className: string, options: ScheduleOptions | undefined): void {
  for (const [key, argument] of [
    ['strength', 'strength'],
    ['originalInferenceSteps', 'original_inference_steps'],
  ] as const) {
    if (options?.[key] !== undefined) {
      throw new SchedulerError(className, argument, `set_timesteps takes no ${argument}; only LCM and TCD do`)
    }
  }
}

/** @throws SchedulerError unless `count` is a positive integer, of at most `maximum` if given */
export function stepCount(className: string, count: number, maximum = Number.POSITIVE_INFINITY): number {
  if (!Number.isInteger(count) || count < 1 || count > maximum) {
    const range = Number.isFinite(maximum) ? `an integer from 1 to ${maximum}` : 'a positive integer'
    throw new SchedulerError(className, 'num_inference_steps', `num_inference_steps must be ${range}, got ${count}`)
  }
  return count
}

/** @throws SchedulerError unless `values` is a non-empty list of at least `minimum` finite numbers */
export function customValues(
  className: string,
  argument: 'timesteps' | 'sigmas',
  values: readonly number[],
  minimum = 1,
): readonly number[] {
  if (values.length < minimum || !values.every(Number.isFinite)) {
    throw new SchedulerError(
      className,
      argument,
      `${argument} must be at least ${minimum} finite numbers, got [${values}]`,
    )
  }
  return values
}
