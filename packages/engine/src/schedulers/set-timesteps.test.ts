import { describe, expect, it } from 'vitest'
import { createScheduler, type SchedulerName } from './from-config.ts'
import { type Schedule, type ScheduleOptions, SchedulerError } from './scheduler.ts'

const CONFIG = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear', steps_offset: 1 }
const TIMESTEPS = [999, 600, 200]
const SIGMAS = [14, 3, 0.5, 0]

function timesteps(name: SchedulerName, schedule: Schedule, options?: ScheduleOptions): readonly number[] {
  const scheduler = createScheduler(name, CONFIG)
  scheduler.setTimesteps(schedule, options)
  return scheduler.timesteps
}

describe('custom schedules', () => {
  it.each([
    ['Euler', true, true],
    ['DPM++ 2M', true, false],
    ['DPM++ 2M SDE', true, false],
    ['LCM', true, false],
    ['TCD', true, false],
    ['Euler A', false, false],
    ['DDIM', false, false],
  ] as const)('%s takes timesteps: %s, sigmas: %s', (name, takesTimesteps, takesSigmas) => {
    const withTimesteps = () => timesteps(name, { timesteps: TIMESTEPS })
    const withSigmas = () => timesteps(name, { sigmas: SIGMAS })
    if (takesTimesteps) expect(withTimesteps()).toEqual(TIMESTEPS)
    else expect(withTimesteps).toThrow(expect.objectContaining({ parameter: 'timesteps' }))
    if (takesSigmas) expect(withSigmas()).toHaveLength(3)
    else expect(withSigmas).toThrow(expect.objectContaining({ parameter: 'sigmas' }))
  })

  it.each([
    ['Euler', { timesteps: [] }],
    ['Euler', { timesteps: [Number.NaN] }],
    ['Euler', { sigmas: [14] }],
    ['Euler', { sigmas: [14, 0, 3, 0] }],
    ['DPM++ 2M', { timesteps: [999, 500, 500] }],
    ['DPM++ 2M Karras', { timesteps: TIMESTEPS }],
    ['LCM', { timesteps: [500, 600] }],
    ['LCM', { timesteps: [1000, 600] }],
    ['TCD', { timesteps: [500, -1] }],
  ] as const)('%s refuses %j', (name, schedule) => {
    const argument = Object.keys(schedule)[0]
    expect(() => timesteps(name, schedule)).toThrow(expect.objectContaining({ parameter: argument }))
  })

  it('refuses timesteps with the Karras sigmas of Euler', () => {
    const scheduler = createScheduler('Euler', CONFIG, { use_karras_sigmas: true })
    expect(() => scheduler.setTimesteps({ timesteps: TIMESTEPS })).toThrow(SchedulerError)
  })
})

describe('the number of steps', () => {
  it.each(['Euler', 'Euler A', 'DPM++ 2M', 'DPM++ 2M Karras', 'DDIM', 'LCM', 'TCD'] as const)(
    '%s needs one',
    (name) => {
      for (const numInferenceSteps of [0, -1, 2.5, Number.NaN]) {
        expect(() => timesteps(name, { numInferenceSteps })).toThrow(
          expect.objectContaining({ parameter: 'num_inference_steps' }),
        )
      }
      expect(timesteps(name, { numInferenceSteps: 1 })).toHaveLength(1)
    },
  )

  it('is at most what the distillation has', () => {
    expect(timesteps('LCM', { numInferenceSteps: 50 })).toHaveLength(50)
    expect(() => timesteps('LCM', { numInferenceSteps: 51 })).toThrow(/at most 50 steps/)
    expect(() => timesteps('LCM', { numInferenceSteps: 8 }, { strength: 0.15 })).toThrow(/at most 7 steps/)
    expect(timesteps('LCM', { numInferenceSteps: 51 }, { originalInferenceSteps: 100 })).toHaveLength(51)
  })

  it('must keep the timesteps within training', () => {
    expect(() => timesteps('DDIM', { numInferenceSteps: 1001 })).toThrow(/from 1 to 1000/)
    expect(() => timesteps('DDIM', { numInferenceSteps: 1000 })).toThrow(/start at timestep 1000/)
  })

  it('have the evaluations of the Runge-Kutta warm-up, which takes three steps', () => {
    const scheduler = createScheduler(undefined, { ...CONFIG, _class_name: 'PNDMScheduler', skip_prk_steps: false })
    scheduler.setTimesteps({ numInferenceSteps: 4 })
    const [a, b, c, d] = [751, 501, 251, 1]
    expect(scheduler.timesteps).toEqual([a, b + 125, b + 125, b, b, c + 125, c + 125, c, c, d + 125, d + 125, d, d])
    expect(() => scheduler.setTimesteps({ numInferenceSteps: 3 })).toThrow(
      expect.objectContaining({ parameter: 'num_inference_steps' }),
    )
  })

  it('are even in λ where Lu’s schedule is asked for, which takes no timesteps of the caller’s', () => {
    const scheduler = createScheduler('DPM++ 2M', CONFIG, { use_lu_lambdas: true })
    scheduler.setTimesteps({ numInferenceSteps: 5 })
    const lambdas = (scheduler.sigmas ?? []).slice(0, -1).map((sigma) => Math.log(sigma))
    const gaps = lambdas.slice(1).map((lambda, i) => lambda - (lambdas[i] as number))
    expect(gaps).toHaveLength(4)
    for (const gap of gaps) expect(gap).toBeCloseTo(gaps[0] as number, 5)
    expect(() => scheduler.setTimesteps({ timesteps: [900, 10] })).toThrow(/Lu’s lambdas/)
  })

  it('starts a scheduler afresh', () => {
    const scheduler = createScheduler('LCM', CONFIG)
    scheduler.setTimesteps({ numInferenceSteps: 8 })
    scheduler.setTimesteps({ numInferenceSteps: 2 })
    expect(scheduler.timesteps).toEqual([999, 499])
    expect(scheduler.numInferenceSteps).toBe(2)
  })
})

describe('strength and originalInferenceSteps', () => {
  it('are for LCM and TCD only', () => {
    expect(timesteps('LCM', { numInferenceSteps: 4 }, { strength: 0.8 })).toEqual([799, 599, 399, 199])
    for (const name of ['Euler', 'Euler A', 'DPM++ 2M', 'DDIM'] as const) {
      expect(() => timesteps(name, { numInferenceSteps: 4 }, { strength: 0.8 })).toThrow(
        expect.objectContaining({ parameter: 'strength' }),
      )
    }
  })

  it.each([-0.1, 1.1, Number.NaN])('refuse strength %s', (strength) => {
    expect(() => timesteps('TCD', { numInferenceSteps: 4 }, { strength })).toThrow(
      expect.objectContaining({ parameter: 'strength' }),
    )
  })
})
