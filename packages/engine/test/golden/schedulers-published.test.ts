import { describe, expect, it } from 'vitest'
import { createScheduler } from '../../src/schedulers/from-config.ts'
import type { SchedulerClassName } from '../../src/schedulers/scheduler.ts'
import { type FloatTensor, float32, map } from '../../src/tensor/tensor.ts'
import { golden, storedTensors } from './scheduler-replay.ts'

/**
 * The full loops of diffusers' own test suite (tests/schedulers at version 0.42), with the sums that it states: a check
 * that does not depend on the machine that made the golden trajectories.
 */

const { fround } = Math

const LINEAR = { num_train_timesteps: 1000, beta_start: 0.0001, beta_end: 0.02, beta_schedule: 'linear' }
const EULER = { ...LINEAR, num_train_timesteps: 1100 }
const DPM = { ...LINEAR, solver_order: 2, lower_order_final: false, final_sigmas_type: 'sigma_min' }
const DDIM = { ...LINEAR, clip_sample: true }
const SCALED = { ...LINEAR, beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear' }
const V = { prediction_type: 'v_prediction' }
const KARRAS = { use_karras_sigmas: true }
const THRESHOLDING = { thresholding: true, dynamic_thresholding_ratio: 0.87, sample_max_value: 0.5 }

/** The tolerances of those tests, which state rounded figures. */
const SUM_TOLERANCE = 1e-2
const MEAN_TOLERANCE = 1e-3

interface Loop {
  readonly name: string
  readonly scheduler: SchedulerClassName
  readonly config: Readonly<Record<string, unknown>>
  readonly steps?: number
  /** Starts there, from noise added to the sample. */
  readonly start?: number
  readonly sum?: number
  readonly mean?: number
}

const LOOPS: readonly Loop[] = [
  { name: 'Euler', scheduler: 'EulerDiscreteScheduler', config: EULER, sum: 10.0807, mean: 0.0131 },
  { name: 'Euler, v', scheduler: 'EulerDiscreteScheduler', config: { ...EULER, ...V }, sum: 0.0002 },
  {
    name: 'Euler Karras',
    scheduler: 'EulerDiscreteScheduler',
    config: { ...EULER, ...KARRAS },
    sum: 124.52299499511719,
  },
  { name: 'Euler with noise', scheduler: 'EulerDiscreteScheduler', config: EULER, start: 8, sum: 57062.9297 },
  { name: 'Euler A', scheduler: 'EulerAncestralDiscreteScheduler', config: EULER, sum: 152.3192, mean: 0.1983 },
  { name: 'Euler A, v', scheduler: 'EulerAncestralDiscreteScheduler', config: { ...EULER, ...V }, sum: 108.4439 },
  {
    name: 'Euler A with noise',
    scheduler: 'EulerAncestralDiscreteScheduler',
    config: EULER,
    start: 8,
    sum: 56163.0508,
  },
  { name: 'DPM++', scheduler: 'DPMSolverMultistepScheduler', config: DPM, mean: 0.3301 },
  { name: 'DPM++, v', scheduler: 'DPMSolverMultistepScheduler', config: { ...DPM, ...V }, mean: 0.2251 },
  {
    name: 'DPM++ Karras, v',
    scheduler: 'DPMSolverMultistepScheduler',
    config: { ...DPM, ...V, ...KARRAS },
    mean: 0.2096,
  },
  {
    name: 'DPM++ thresholding',
    scheduler: 'DPMSolverMultistepScheduler',
    config: { ...DPM, ...THRESHOLDING },
    mean: 1.1364,
  },
  { name: 'DPM++ with noise', scheduler: 'DPMSolverMultistepScheduler', config: DPM, start: 5, sum: 318.4111 },
  { name: 'DDIM', scheduler: 'DDIMScheduler', config: DDIM, sum: 172.0067 },
  { name: 'DDIM, v', scheduler: 'DDIMScheduler', config: { ...DDIM, ...V }, sum: 52.5302 },
  {
    name: 'DDIM, alpha to one',
    scheduler: 'DDIMScheduler',
    config: { ...DDIM, set_alpha_to_one: true, beta_start: 0.01 },
    sum: 149.8295,
  },
  {
    name: 'DDIM, alpha not to one',
    scheduler: 'DDIMScheduler',
    config: { ...DDIM, set_alpha_to_one: false, beta_start: 0.01 },
    sum: 149.0784,
  },
  { name: 'DDIM with noise', scheduler: 'DDIMScheduler', config: DDIM, start: 8, sum: 354.5418 },
  { name: 'LCM, one step', scheduler: 'LCMScheduler', config: SCALED, steps: 1, sum: 18.7097 },
  { name: 'LCM', scheduler: 'LCMScheduler', config: SCALED, sum: 197.7616 },
  { name: 'TCD, one step', scheduler: 'TCDScheduler', config: SCALED, steps: 1, sum: 29.8715 },
  { name: 'TCD', scheduler: 'TCDScheduler', config: SCALED, sum: 181.204 },
]

describe("full loops of diffusers' scheduler tests", () => {
  it.each(LOOPS.map((loop) => [loop.name, loop] as const))('%s', (_, loop) => {
    const magnitudes = runLoop(loop).data.map(Math.abs)
    const sum = magnitudes.reduce((total, value) => total + value, 0)
    if (loop.sum !== undefined) expect(Math.abs(sum - loop.sum)).toBeLessThan(SUM_TOLERANCE)
    if (loop.mean !== undefined) expect(Math.abs(sum / magnitudes.length - loop.mean)).toBeLessThan(MEAN_TOLERANCE)
  })
})

function runLoop({ scheduler: name, config, steps = 10, start }: Loop): FloatTensor {
  const scheduler = createScheduler(name, config)
  scheduler.setTimesteps({ numInferenceSteps: steps })
  const noise = storedTensors(golden.seedZero, golden.seedZeroDraws, golden.seedZeroShape)
  let drawn = 0
  let sample = map((value) => value * scheduler.initNoiseSigma, dummySample())
  if (start !== undefined) sample = scheduler.addNoise(sample, dummyNoise(), start)
  for (let stepIndex = start ?? 0; stepIndex < scheduler.timesteps.length; stepIndex++) {
    const t = scheduler.timesteps[stepIndex] as number
    // Those tests step on from the scaled sample; pipelines keep the unscaled one.
    sample = scheduler.scaleModelInput(sample, stepIndex)
    const modelOutput = map((value) => fround(value * t) / fround(t + 1), sample)
    const drawNoise = () => noise[drawn++] as FloatTensor
    sample = scheduler.step({ modelOutput, stepIndex, sample, drawNoise }).prevSample
  }
  return sample
}

const [BATCH, CHANNELS, HEIGHT, WIDTH] = [4, 3, 8, 8]
const COUNT = BATCH * CHANNELS * HEIGHT * WIDTH

/** 0, 1/768, 2/768, … as [3, 8, 8, 4], with the batch axis moved to the front. */
function dummySample(order: (index: number) => number = (index) => index): FloatTensor {
  const rowLength = COUNT / BATCH
  const data = Float32Array.from(
    { length: COUNT },
    (_, i) => order((i % rowLength) * BATCH + Math.floor(i / rowLength)) / COUNT,
  )
  return float32([BATCH, CHANNELS, HEIGHT, WIDTH], data)
}

function dummyNoise(): FloatTensor {
  return dummySample((index) => COUNT - 1 - index)
}
