import { describe, expect, it } from 'vitest'
import { golden, relativeDistance, replay, type SchedulerCase, storedTensors } from './scheduler-replay.ts'

describe('schedulers run the trajectories of diffusers', () => {
  it.each(golden.cases.map((entry) => [labelOf(entry), entry] as const))('%s', (_, entry) => {
    const { tolerance } = golden
    const { scheduler, startIndex, draws, states } = replay(entry)

    expect(relativeDistance(scheduler.timesteps, entry.timesteps)).toBeLessThanOrEqual(
      hasInterpolatedTimesteps(entry) ? tolerance.timestepsOfSigmas : 0,
    )
    if (entry.sigmas) {
      expect(relativeDistance(scheduler.sigmas ?? [], entry.sigmas)).toBeLessThanOrEqual(tolerance.sigmas)
    }
    expect(relativeDistance([scheduler.initNoiseSigma], [entry.initNoiseSigma])).toBeLessThanOrEqual(tolerance.sigmas)
    expect(startIndex).toBe(entry.startIndex)
    expect(draws).toBe(entry.draws)

    const expected = storedTensors(entry.offset, entry.states.length, golden.shape)
    expect(states).toHaveLength(1 + (entry.states.at(-1) ?? 0))
    for (const [i, state] of entry.states.entries()) {
      expect(relativeDistance(states[state]?.data ?? [], expected[i]?.data ?? [])).toBeLessThanOrEqual(
        isZeroSnrEuler(entry) ? tolerance.statesZeroSnrEuler : tolerance.states,
      )
    }
  })
})

function labelOf(entry: SchedulerCase): string {
  const config = typeof entry.config === 'string' ? entry.config : `${entry.config._class_name} config`
  const rest = { ...entry.schedule, ...entry.overrides, ...entry.options }
  const strength = entry.strength === null ? '' : ` strength ${entry.strength}`
  return `${entry.scheduler ?? "the checkpoint's own"} on ${config} ${JSON.stringify(rest)} eta ${entry.eta}${strength}`
}

/** Euler derives timesteps from sigmas and does not round them. */
function hasInterpolatedTimesteps({ scheduler, schedule, overrides }: SchedulerCase): boolean {
  return scheduler === 'EulerDiscreteScheduler' && ('sigmas' in schedule || overrides.use_karras_sigmas === true)
}

function isZeroSnrEuler({ scheduler, overrides }: SchedulerCase): boolean {
  return overrides.rescale_betas_zero_snr === true && (scheduler?.startsWith('Euler') ?? false)
}
