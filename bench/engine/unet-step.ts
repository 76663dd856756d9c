/**
 * How long an SD1.5-size UNet takes to load and to run one step, beside diffusers in torch on the same machine in turns.
 *
 * Usage: npx tsx bench/engine/unet-step.ts CHECKPOINT [--size 64] [--threads 2] [--steps 5] [--cache FOLDER] [--peer PYTHON]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openCheckpoint } from '../../packages/engine/src/checkpoint/checkpoint.ts'
import { WeightCache } from '../../packages/engine/src/checkpoint/prepared-weights.ts'
import { buildUNetGraph } from '../../packages/engine/src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../packages/engine/src/models/unet-2d-condition-config.ts'
import { WorkerRuntime } from '../../packages/engine/src/runtime/worker-runtime.ts'
import {
  DYNAMIC,
  elementCount,
  type FloatTensor,
  float32,
  type Shape,
} from '../../packages/engine/src/tensor/tensor.ts'
import { median, timed } from '../statistics.ts'
import { startPeer } from './peer.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '5' },
    cache: { type: 'string' },
    peer: { type: 'string' },
  },
})
const [folder] = positionals
if (folder === undefined) throw new Error('usage: unet-step.ts CHECKPOINT [--peer PYTHON] …')
const [size, threads, steps] = [Number(flags.size), Number(flags.threads), Number(flags.steps)]

/** The same values in both programs. */
function wave(shape: Shape): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898) * 1.2),
  )
}

/** Linux's account of this process, in GB. */
function memory(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  const gigabytes = (name: string) => (Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024) / 1e9
  return ['VmHWM', 'RssAnon', 'RssFile'].map((name) => `${name} ${gigabytes(name).toFixed(2)} GB`).join(', ')
}

/** On a machine that others use, the best of many says what the work takes; on a quiet one it is close to the median. */
function report(what: string, seconds: readonly number[]): void {
  console.log(
    `${what}: median ${median(seconds).toFixed(2)} s, best ${Math.min(...seconds).toFixed(2)} s of ${seconds.length}`,
  )
}

const runtime = new WorkerRuntime({ threads })
const cache = new WeightCache(flags.cache === undefined ? {} : { folder: flags.cache })
const component = (await openCheckpoint(folder)).component('unet')
const config = parseUNetConfig(await component.config())
const convolutionBlock = await runtime.convolutionBlock()

async function load() {
  const weights = await cache.prepare(await component.weights(), { convolutionBlock })
  const graph = buildUNetGraph(config, { batch: 1, height: size, width: size })
  return runtime.createSession(graph, weights)
}

console.log(`convolution block ${convolutionBlock}`)
for (const time of ['first load', 'second load', 'third load']) {
  const [session, seconds] = await timed(load)
  console.log(`${time} ${seconds.toFixed(2)} s (${memory()})`)
  await session.release()
}

const session = await load()
const feeds = Object.fromEntries(
  session.inputs.map(({ name, shape }) => [
    name,
    name === 'timestep' ? float32([1], Float32Array.of(500)) : wave(shape.map((d) => (d === DYNAMIC ? 77 : d))),
  ]),
)
const peer =
  flags.peer === undefined
    ? undefined
    : await startPeer('unet_step.py', flags.peer, [folder, threads, size].map(String))
if (peer) console.log('peer', await peer.next())
const [ours, theirs]: [number[], number[]] = [[], []]
for (let step = 0; step <= steps; step++) {
  const [{ noise_pred: noise }, seconds] = await timed(() => session.run(feeds))
  const magnitudes = (noise as FloatTensor).data.map(Math.abs)
  const meanMagnitude = magnitudes.reduce((sum, value) => sum + value, 0) / magnitudes.length
  const other = await peer?.ask()
  console.log(
    `step ${step}: ${seconds.toFixed(2)} s, mean |x| ${meanMagnitude.toFixed(6)}; peer ${JSON.stringify(other ?? null)}`,
  )
  // The first step of each touches its weights for the first time.
  if (step === 0) continue
  ours.push(seconds)
  if (other) theirs.push(other.seconds as number)
}
report('step', ours)
console.log(memory())
if (peer) {
  report('peer', theirs)
  const [medians, bests] = [median(ours) / median(theirs), Math.min(...ours) / Math.min(...theirs)]
  console.log(`ratio of medians ${medians.toFixed(3)}, of bests ${bests.toFixed(3)}`)
}
peer?.end()
await session.release()
await runtime.dispose()
await cache.dispose()
