import { defined } from '../tensor/defined.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import { customValues, stepCount } from './schedule-arguments.ts'
import { SchedulerError } from './scheduler.ts'
import { interpolate, karrasSigmas, logarithms, timestepOfLogSigma, trainingSigmas } from './sigma-schedule.ts'
import { arange, linspace, type SpacingConfig } from './spacing.ts'

const { exp, fround, log, sqrt, trunc } = Math

interface DpmSolverConfig extends SpacingConfig {
  readonly beta_schedule: string
  readonly use_karras_sigmas: boolean
  readonly use_lu_lambdas: boolean
  readonly sigma_min: number | null
  readonly sigma_max: number | null
  readonly final_sigmas_type: 'zero' | 'sigma_min'
  readonly lambda_min_clipped: number
}

interface DpmSolverSchedule {
  readonly timesteps: readonly number[]
  /** float32, one more than timesteps. */
  readonly sigmas: readonly number[]
}

/** `set_timesteps` of DPMSolverMultistepScheduler. */
export function dpmSolverTimesteps(
  className: string,
  config: DpmSolverConfig,
  alphas: Float32Array,
  wanted: { readonly numInferenceSteps: number } | { readonly timesteps: readonly number[] },
): DpmSolverSchedule {
  const table = trainingSigmas(alphas)
  const final = config.final_sigmas_type === 'zero' ? 0 : defined(table[0])
  if (config.use_karras_sigmas || config.use_lu_lambdas) {
    if ('timesteps' in wanted) {
      const which = config.use_karras_sigmas ? 'Karras sigmas' : 'Lu’s lambdas'
      throw new SchedulerError(className, 'timesteps', `custom timesteps cannot be combined with ${which}`)
    }
    const spaced = config.use_karras_sigmas ? karras : lu
    const { timesteps, sigmas } = spaced(config, table, stepCount(className, wanted.numInferenceSteps))
    return { timesteps, sigmas: [...sigmas, final].map(fround) }
  }
  const timesteps =
    'timesteps' in wanted
      ? withoutRepeats(className, customValues(className, 'timesteps', wanted.timesteps).map(trunc))
      : spacedDpmTimesteps(config, lastTimestep(config, alphas), stepCount(className, wanted.numInferenceSteps))
  return { timesteps, sigmas: [...timesteps.map((t) => interpolate(table, t)), final].map(fround) }
}

/** The solver divides by the distance between steps. */
function withoutRepeats(className: string, timesteps: readonly number[]): readonly number[] {
  if (timesteps.some((t, i) => t === timesteps[i + 1])) {
    throw new SchedulerError(className, 'timesteps', `timesteps must not repeat, got [${timesteps}]`)
  }
  return timesteps
}

function karras(config: DpmSolverConfig, table: Float32Array, count: number): DpmSolverSchedule {
  const largest = config.sigma_max ?? defined(table[table.length - 1])
  const smallest = config.sigma_min ?? defined(table[0])
  return withTimesteps(config, table, karrasSigmas(largest, smallest, linspace(0, 1, count)))
}

/** Even in λ, the logarithm of sigma (arXiv 2206.00927, section 3.3), between the ends of training. */
function lu(config: DpmSolverConfig, table: Float32Array, count: number): DpmSolverSchedule {
  const lambdas = logarithms(table)
  const [largest, smallest] = [defined(lambdas[lambdas.length - 1]), defined(lambdas[0])]
  const sigmas = linspace(0, 1, count).map((share) => exp(largest + share * (smallest - largest)))
  return withTimesteps(config, table, sigmas)
}

/** Rounded to integers, where Euler keeps fractions: above some 50 steps the quiet end repeats timesteps. */
function withTimesteps(config: DpmSolverConfig, table: Float32Array, sigmas: number[]): DpmSolverSchedule {
  const logSigmas = logarithms(table)
  const timesteps = sigmas.map((sigma) => {
    const timestep = timestepOfLogSigma(log(Math.max(sigma, 1e-10)), logSigmas)
    return config.beta_schedule === 'squaredcos_cap_v2' ? trunc(timestep) : roundHalfEven(timestep)
  })
  return { timesteps, sigmas }
}

/** How many training timesteps have a log signal-to-noise ratio λ of at least `lambda_min_clipped`. */
function lastTimestep(config: DpmSolverConfig, alphas: Float32Array): number {
  const lambdas = alphas.map((alpha) => fround(log(fround(sqrt(alpha)))) - fround(log(fround(sqrt(fround(1 - alpha))))))
  return lambdas.filter((lambda) => lambda >= fround(config.lambda_min_clipped)).length
}

/** Unlike the other schedulers': N + 1 points are spaced and the last is dropped, so that none falls on 0. */
function spacedDpmTimesteps(config: DpmSolverConfig, last: number, count: number): number[] {
  switch (config.timestep_spacing) {
    case 'linspace':
      return linspace(0, last - 1, count + 1)
        .map(roundHalfEven)
        .reverse()
        .slice(0, -1)
    case 'leading': {
      const ratio = Math.floor(last / (count + 1))
      return Array.from({ length: count }, (_, i) => (count - i) * ratio + config.steps_offset)
    }
    case 'trailing':
      return arange(last, 0, -config.num_train_timesteps / count).map((t) => roundHalfEven(t) - 1)
  }
}
