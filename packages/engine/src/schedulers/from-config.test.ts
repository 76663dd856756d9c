import { describe, expect, it } from 'vitest'
import { createScheduler, SCHEDULER_NAMES, type SchedulerName } from './from-config.ts'
import { SchedulerError } from './scheduler.ts'

const SD15 = {
  _class_name: 'PNDMScheduler',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
  clip_sample: false,
}
const SDXL = { ...SD15, _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'leading' }

function fourSteps(name: SchedulerName | undefined, config: Readonly<Record<string, unknown>>) {
  const scheduler = createScheduler(name, config)
  scheduler.setTimesteps({ numInferenceSteps: 4 })
  const rounded = scheduler.sigmas?.map((sigma) => Math.round(sigma * 1e5) / 1e5)
  return { timesteps: scheduler.timesteps, sigmas: rounded, initNoiseSigma: scheduler.initNoiseSigma }
}

describe('the names of the endpoints on the configs of SD1.5 and SDXL', () => {
  const dpm = { timesteps: [999, 749, 500, 250], sigmas: [14.61465, 4.08173, 1.61828, 0.6958, 0] }
  const dpmXl = { timesteps: [801, 601, 401, 201], sigmas: [5.13443, 2.29285, 1.16822, 0.57405, 0] }
  const karras = { timesteps: [999, 687, 146, 0], sigmas: [14.61465, 3.16861, 0.44692, 0.02917, 0] }
  const euler = { timesteps: [999, 666, 333, 0], sigmas: [14.61465, 2.91831, 0.93236, 0.02917, 0] }
  const eulerXl = { timesteps: [751, 501, 251, 1], sigmas: [4.1167, 1.62369, 0.6984, 0.04131, 0] }
  const trailing = { timesteps: [999, 749, 499, 249], sigmas: [14.61465, 4.08173, 1.61289, 0.69321, 0] }
  const distilled = { timesteps: [999, 759, 499, 259], sigmas: undefined }
  const ddim = { timesteps: [751, 501, 251, 1], sigmas: undefined }

  it.each([
    ['DPM++ 2M', dpm, dpmXl],
    ['DPM++ 2M Karras', karras, karras],
    ['DPM++ 2M SDE', dpm, dpmXl],
    ['DPM++ 2M SDE Karras', karras, karras],
    ['Euler', euler, eulerXl],
    ['Euler A', euler, eulerXl],
    ['Euler (trailing timesteps)', trailing, trailing],
    ['LCM', distilled, distilled],
    ['LCM (trailing timesteps)', distilled, distilled],
    ['DDIM', ddim, ddim],
    ['TCD', distilled, distilled],
  ] as const)('%s', (name, onSd15, onSdxl) => {
    expect(fourSteps(name, SD15)).toMatchObject(onSd15)
    expect(fourSteps(name, SDXL)).toMatchObject(onSdxl)
  })

  it('are the eleven of the endpoints', () => {
    expect(SCHEDULER_NAMES).toHaveLength(11)
  })

  it('scale the initial noise by the largest sigma, or by √(σ²+1) with leading spacing', () => {
    expect(fourSteps('Euler', SD15).initNoiseSigma).toBeCloseTo(14.61465, 5)
    expect(fourSteps('Euler', SDXL).initNoiseSigma).toBeCloseTo(4.23641, 5)
    expect(fourSteps('DPM++ 2M', SDXL).initNoiseSigma).toBe(1)
  })

  it("means the checkpoint's own scheduler when absent", () => {
    expect(createScheduler(undefined, SD15).className).toBe('PNDMScheduler')
    expect(createScheduler(undefined, SDXL).className).toBe('EulerDiscreteScheduler')
    expect(fourSteps(undefined, SD15).timesteps).toEqual([751, 501, 501, 251, 1])
  })
})

describe('from_config', () => {
  it('takes the default of the class for a key that the checkpoint does not have', () => {
    const { timestep_spacing: _, ...withoutSpacing } = SDXL
    expect(fourSteps('Euler', withoutSpacing).timesteps).toEqual(fourSteps('Euler', SD15).timesteps)
  })

  it('takes the default of the class for keys that a live config lists as defaulted', () => {
    const live = { ...SDXL, _use_default_values: ['timestep_spacing'] }
    expect(fourSteps('Euler', live).timesteps).toEqual(fourSteps('Euler', SD15).timesteps)
  })

  it('lets overrides win over the checkpoint and the name, and leaves out those that are undefined', () => {
    const scheduler = createScheduler('Euler', SDXL, { timestep_spacing: 'trailing', prediction_type: undefined })
    scheduler.setTimesteps({ numInferenceSteps: 4 })
    expect(scheduler.timesteps).toEqual([999, 749, 499, 249])
  })

  it.each([
    [undefined, { ...SD15, _class_name: 'HeunDiscreteScheduler' }, {}, '_class_name', 'HeunDiscreteScheduler'],
    [undefined, {}, {}, '_class_name', 'undefined'],
    ['DPM++ 2M', { ...SD15, use_beta_sigmas: true }, {}, 'use_beta_sigmas', 'DPMSolverMultistepScheduler'],
    ['DPM++ 2M', SD15, { algorithm_type: 'dpmsolver' }, 'algorithm_type', 'DPMSolverMultistepScheduler'],
    ['DPM++ 2M', SD15, { variance_type: 'learned' }, 'variance_type', 'DPMSolverMultistepScheduler'],
    ['Euler', { ...SDXL, timestep_type: 'continuous' }, {}, 'timestep_type', 'EulerDiscreteScheduler'],
    ['Euler A', SDXL, { prediction_type: 'sample' }, 'prediction_type', 'EulerAncestralDiscreteScheduler'],
    ['DDIM', { ...SD15, beta_schedule: 'sigmoid' }, {}, 'beta_schedule', 'DDIMScheduler'],
    ['DDIM', { ...SD15, steps_offset: 0.5 }, {}, 'steps_offset', 'DDIMScheduler'],
    [undefined, SD15, { rescale_betas_zero_snr: true }, 'rescale_betas_zero_snr', 'PNDMScheduler'],
    ['DDIM', SD15, { use_karras_sigmas: true }, 'use_karras_sigmas', 'DDIMScheduler'],
  ] as const)('refuses what is not implemented: %s, %j, %j', (name, config, overrides, argument, scheduler) => {
    expect(() => createScheduler(name, config, overrides)).toThrow(
      expect.objectContaining({ parameter: argument, scheduler }),
    )
    expect(() => createScheduler(name, config, overrides)).toThrow(SchedulerError)
  })

  it('accepts switched-off overrides that the class does not have', () => {
    expect(createScheduler(undefined, SD15, { rescale_betas_zero_snr: false }).className).toBe('PNDMScheduler')
  })
})
