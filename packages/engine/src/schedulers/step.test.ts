import { describe, expect, it } from 'vitest'
import { float32 } from '../tensor/tensor.ts'
import { createScheduler } from './from-config.ts'

const tensor = (...values: number[]) => float32([1, values.length], Float32Array.from(values))

describe('step', () => {
  it('stays finite in DDIM at eta 1 from zero signal, where the variance rounds below 0', () => {
    const overrides = { rescale_betas_zero_snr: true, prediction_type: 'v_prediction', timestep_spacing: 'trailing' }
    for (let numInferenceSteps = 1; numInferenceSteps <= 50; numInferenceSteps++) {
      const scheduler = createScheduler('DDIM', { beta_schedule: 'scaled_linear' }, overrides)
      scheduler.setTimesteps({ numInferenceSteps })
      const { prevSample } = scheduler.step({
        modelOutput: tensor(0.5, -0.5),
        stepIndex: 0,
        sample: tensor(1, 2),
        drawNoise: () => tensor(0.1, 0.2),
        eta: 1,
      })
      expect(prevSample.data.every(Number.isFinite)).toBe(true)
    }
  })

  it.each(['Euler', 'Euler A', 'DPM++ 2M', 'DDIM', 'LCM', 'TCD', 'PNDMScheduler'] as const)(
    '%s predicts the original that a perfect model points at, and does not change its input',
    (name) => {
      const scheduler = createScheduler(name, { skip_prk_steps: true, clip_sample: false })
      scheduler.setTimesteps({ numInferenceSteps: 8 })
      const original = tensor(0.3, -0.7, 1.1)
      const noise = tensor(-1.2, 0.4, 0.05)
      const sample = scheduler.addNoise(original, noise, 4)
      const { predOriginalSample, prevSample } = scheduler.step({
        modelOutput: noise,
        stepIndex: 4,
        sample,
        drawNoise: () => tensor(0, 0, 0),
      })
      for (const [i, value] of predOriginalSample.data.entries())
        expect(value).toBeCloseTo(original.data[i] as number, 3)
      expect(sample).toEqual(scheduler.addNoise(original, noise, 4))
      expect(prevSample.shape).toEqual(sample.shape)
    },
  )

  it('refuses a TCD gamma beyond 0…1', () => {
    const scheduler = createScheduler('TCD', {})
    scheduler.setTimesteps({ numInferenceSteps: 2 })
    const [modelOutput, sample] = [tensor(0), tensor(1)]
    expect(() => scheduler.step({ modelOutput, stepIndex: 0, sample, drawNoise: () => sample, eta: 1.5 })).toThrow(
      expect.objectContaining({ parameter: 'eta' }),
    )
  })

  it('asks for setTimesteps first', () => {
    for (const name of ['Euler', 'LCM', 'DPM++ 2M'] as const) {
      const scheduler = createScheduler(name, {})
      const [modelOutput, sample] = [tensor(0), tensor(1)]
      expect(() => scheduler.step({ modelOutput, stepIndex: 0, sample, drawNoise: () => sample })).toThrow(
        /call setTimesteps first/,
      )
    }
  })
})
