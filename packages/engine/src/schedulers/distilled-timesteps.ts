import { defined } from '../tensor/defined.ts'
import { customValues, stepCount, withoutSigmas } from './schedule-arguments.ts'
import { type Schedule, type ScheduleOptions, SchedulerError } from './scheduler.ts'

interface DistilledConfig {
  readonly num_train_timesteps: number
  readonly original_inference_steps: number
}

interface DistilledSchedule {
  readonly timesteps: readonly number[]
  /** The index of the step after which no noise is added. */
  readonly lastStepIndex: number
}

/** How many training steps of the distillation `strength` keeps, and out of which the timesteps are picked. */
interface Training {
  readonly steps: number
  readonly strength: number
  /** Ascending. */
  readonly timesteps: readonly number[]
}

/** `set_timesteps` of LCM: steps are picked evenly out of the distillation's own, evenly spaced timesteps. */
export function lcmTimesteps(
  className: string,
  config: DistilledConfig,
  schedule: Schedule,
  options: ScheduleOptions = {},
): DistilledSchedule {
  const strength = checkedStrength(className, options.strength)
  const steps = options.originalInferenceSteps ?? config.original_inference_steps
  return pickTimesteps(className, config, schedule, everyKth(className, config, steps, strength))
}

/** `set_timesteps` of TCD: like LCM's, but an explicit `originalInferenceSteps` frees it of the distillation's grid. */
export function tcdTimesteps(
  className: string,
  config: DistilledConfig,
  schedule: Schedule,
  options: ScheduleOptions = {},
): DistilledSchedule {
  const strength = checkedStrength(className, options.strength)
  const { originalInferenceSteps: steps } = options
  if (steps === undefined) {
    const training = everyKth(className, config, config.original_inference_steps, strength)
    return pickTimesteps(className, config, schedule, training)
  }
  const timesteps = Array.from({ length: Math.trunc(config.num_train_timesteps * strength) }, (_, i) => i)
  return pickTimesteps(className, config, schedule, { steps, strength, timesteps })
}

function checkedStrength(className: string, strength = 1): number {
  if (strength >= 0 && strength <= 1) return strength
  throw new SchedulerError(className, 'strength', `strength must be between 0 and 1, got ${strength}`)
}

function everyKth(className: string, config: DistilledConfig, steps: number, strength: number): Training {
  if (!Number.isInteger(steps) || steps < 1 || steps > config.num_train_timesteps) {
    throw new SchedulerError(
      className,
      'original_inference_steps',
      `original_inference_steps must be an integer from 1 to ${config.num_train_timesteps}, got ${steps}`,
    )
  }
  const k = Math.floor(config.num_train_timesteps / steps)
  return {
    steps,
    strength,
    timesteps: Array.from({ length: Math.trunc(steps * strength) }, (_, i) => (i + 1) * k - 1),
  }
}

function pickTimesteps(
  className: string,
  config: DistilledConfig,
  schedule: Schedule,
  training: Training,
): DistilledSchedule {
  const wanted = withoutSigmas(className, schedule)
  if ('timesteps' in wanted) return customTimesteps(className, config, wanted.timesteps, training.strength)
  const count = stepCount(className, wanted.numInferenceSteps, config.num_train_timesteps)
  const available = training.timesteps.length
  if (count > available || count > training.steps) {
    throw new SchedulerError(
      className,
      'num_inference_steps',
      `${count} steps cannot be picked out of original_inference_steps × strength = ${training.steps} × ` +
        `${training.strength}; ask for at most ${Math.min(available, training.steps)} steps, or raise the strength`,
    )
  }
  const timesteps = Array.from(
    { length: count },
    // numpy.linspace(0, available, count, endpoint=False), floored, from the noisy end
    (_, i) => defined(training.timesteps[available - 1 - Math.floor(i * (available / count))]),
  )
  return { timesteps, lastStepIndex: count - 1 }
}

/**
 * Custom timesteps need not lie on the distillation's grid (diffusers only warns). Strength drops the first ones, yet
 * the last step keeps its number in the full list: shortened, it is never reached and the last step adds noise, too.
 */
function customTimesteps(
  className: string,
  config: DistilledConfig,
  given: readonly number[],
  strength: number,
): DistilledSchedule {
  const { num_train_timesteps: total } = config
  const timesteps = customValues(className, 'timesteps', given).map(Math.trunc)
  const first = defined(timesteps[0])
  const descending = given.every((t, i) => i === 0 || t < defined(given[i - 1]))
  if (!descending || first >= total || defined(timesteps[timesteps.length - 1]) < 0) {
    throw new SchedulerError(
      className,
      'timesteps',
      `timesteps must be strictly descending from at most ${total - 1} to at least 0, got [${given}]`,
    )
  }
  const kept = Math.min(Math.trunc(timesteps.length * strength), timesteps.length)
  return { timesteps: timesteps.slice(timesteps.length - kept), lastStepIndex: timesteps.length - 1 }
}
