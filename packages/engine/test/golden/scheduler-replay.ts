import { readFileSync } from 'node:fs'
import { createScheduler, type SchedulerName } from '../../src/schedulers/from-config.ts'
import type { Schedule, ScheduleOptions, Scheduler, SchedulerClassName } from '../../src/schedulers/scheduler.ts'
import { startIndex } from '../../src/schedulers/start-index.ts'
import { elementCount, type FloatTensor, float32, map } from '../../src/tensor/tensor.ts'

const { abs, fround } = Math

/** One run of a scheduler by diffusers, as scripts/golden/schedulers.py writes it. */
export interface SchedulerCase {
  readonly scheduler: SchedulerName | SchedulerClassName | null
  readonly config: string | Readonly<Record<string, unknown>>
  readonly overrides: Readonly<Record<string, unknown>>
  readonly schedule: Schedule
  readonly options: ScheduleOptions
  readonly strength: number | null
  readonly eta: number
  readonly timesteps: readonly number[]
  readonly sigmas: readonly number[] | null
  readonly initNoiseSigma: number
  readonly startIndex: number
  readonly draws: number
  /** Which states of the trajectory are kept; 0 is the start. */
  readonly states: readonly number[]
  readonly offset: number
}

interface Golden {
  readonly tolerance: {
    readonly states: number
    readonly statesZeroSnrEuler: number
    readonly sigmas: number
    readonly timestepsOfSigmas: number
  }
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly shape: readonly number[]
  readonly pool: number
  readonly poolLength: number
  readonly seedZero: number
  readonly seedZeroShape: readonly number[]
  readonly seedZeroDraws: number
  readonly cases: readonly SchedulerCase[]
}

const data = new URL('data/', import.meta.url)

export const golden = JSON.parse(readFileSync(new URL('schedulers.json', data), 'utf8')) as Golden

const bytes = readFileSync(new URL('schedulers.bin', data))
const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))

/** `count` tensors stored one after the other. */
export function storedTensors(offset: number, count: number, shape: readonly number[]): FloatTensor[] {
  const size = elementCount(shape)
  return Array.from({ length: count }, (_, i) =>
    float32(shape, values.subarray(offset + i * size, offset + (i + 1) * size)),
  )
}

const [initial, image, imageNoise, pattern, ...draws] = storedTensors(golden.pool, golden.poolLength, golden.shape) as [
  FloatTensor,
  FloatTensor,
  FloatTensor,
  FloatTensor,
  ...FloatTensor[],
]

export interface Replay {
  readonly scheduler: Scheduler
  readonly startIndex: number
  readonly draws: number
  /** Start, then the sample after each step. */
  readonly states: readonly FloatTensor[]
}

/** Runs a case here, with the made-up model of the script. */
export function replay(entry: SchedulerCase): Replay {
  const config = typeof entry.config === 'string' ? golden.configs[entry.config] : entry.config
  const scheduler = createScheduler(entry.scheduler ?? undefined, config ?? {}, entry.overrides)
  scheduler.setTimesteps(entry.schedule, entry.options)
  const start = entry.strength === null ? 0 : startIndex(scheduler, entry.strength)
  const noise = noiseInTurn()
  let sample =
    entry.strength === null
      ? map((value) => value * scheduler.initNoiseSigma, initial)
      : scheduler.addNoise(image, imageNoise, start)
  const states = [sample]
  for (let stepIndex = start; stepIndex < scheduler.timesteps.length; stepIndex++) {
    const timestep = scheduler.timesteps[stepIndex] as number
    const modelOutput = model(scheduler.scaleModelInput(sample, stepIndex), timestep)
    sample = scheduler.step({
      modelOutput,
      stepIndex,
      sample,
      drawNoise: noise.draw,
      eta: entry.eta,
    }).prevSample
    states.push(sample)
  }
  return { scheduler, startIndex: start, draws: noise.drawn(), states }
}

function noiseInTurn() {
  let drawn = 0
  return {
    draw: () => draws[drawn++ % draws.length] as FloatTensor,
    drawn: () => drawn,
  }
}

/** 0.8 · s / (1 + |s|) + pattern · t / 1000 */
function model(scaled: FloatTensor, timestep: number): FloatTensor {
  const time = fround(timestep / 1000)
  const factor = fround(0.8)
  return map((s, p) => fround(factor * fround(s / fround(1 + abs(s)))) + fround(p * time), scaled, pattern)
}

/** Largest difference over the largest magnitude expected; NaN or a wrong length is infinitely far. */
export function relativeDistance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let difference = 0
  let magnitude = 0
  for (let i = 0; i < expected.length; i++) {
    const distance = abs((actual[i] as number) - (expected[i] as number))
    if (!(distance <= difference)) difference = distance
    magnitude = Math.max(magnitude, abs(expected[i] as number))
  }
  if (difference === 0) return 0
  return Number.isFinite(difference) ? difference / magnitude : Number.POSITIVE_INFINITY
}
