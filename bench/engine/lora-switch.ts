/**
 * What LoRAs cost an SD1.5-size UNet that is loaded, beside diffusers' `load_lora_weights` and `set_adapters`: a step with one of rank 32 on
 * every layer against a step without, the time from asking for another one to its first step, and memory over many of them.
 *
 * Each number is of a process that does nothing else: one draws without LoRAs, one with, one switches.
 *
 * Usage: npx tsx bench/engine/lora-switch.ts CHECKPOINT --cache FOLDER [--size 64] [--threads 2] [--steps 5] [--switches 200] [--rank 32] [--peer PYTHON]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeSafetensors } from '../../packages/engine/src/formats/safetensors.ts'
import { openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../../packages/engine/src/tensor/tensor.ts'
import { median } from '../statistics.ts'
import { type Peer, startPeer } from './peer.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string' },
    rank: { type: 'string', default: '32' },
    size: { type: 'string', default: '64' },
    steps: { type: 'string', default: '5' },
    switches: { type: 'string', default: '200' },
    threads: { type: 'string', default: '2' },
    peer: { type: 'string' },
  },
})
const [folder] = positionals
if (folder === undefined || flags.cache === undefined) {
  throw new Error('usage: lora-switch.ts CHECKPOINT --cache FOLDER …')
}
const cache = flags.cache
const [rank, steps, switches] = [Number(flags.rank), Number(flags.steps), Number(flags.switches)]
/** Switching does not depend on the picture's size, so a small one that lets many be tried will do. */
const SMALL = '8'
/** Files of different values that are switched between. */
const FILES = 4

type Start = (size: string) => Promise<Peer>

const engineProcess: Start = (size) =>
  startPeer('lora-process.ts', [process.execPath, '--import', 'tsx'], [folder, cache, flags.threads, size])
const peerProcess: Start = (size) => startPeer('lora_process.py', flags.peer ?? '', [folder, flags.threads, size])

/** LoRA files with diffusers' names on every layer of the UNet. */
async function writeLoras(scratch: string): Promise<string[]> {
  const engine = openEngine({ threads: 1, cacheFolder: cache })
  const { layers } = (await loadStableDiffusion(engine, folder as string)).unet
  await engine.dispose()
  const paths: string[] = []
  for (let phase = 0; phase < FILES; phase++) {
    const wave = (shape: Shape): FloatTensor =>
      float32(
        shape,
        Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898 + phase) * 0.02),
      )
    const tensors: Record<string, FloatTensor> = {}
    for (const [path, [out, ...rest]] of layers) {
      tensors[`unet.${path}.lora_A.weight`] = wave([rank, ...rest])
      tensors[`unet.${path}.lora_B.weight`] = wave([out as number, rank, ...rest.slice(1).map(() => 1)])
    }
    const path = join(scratch, `${phase}.safetensors`)
    await writeSafetensors(path, tensors)
    paths.push(path)
  }
  return paths
}

/** Steps without and with a LoRA in turns, after one of each that touches the weights for the first time. */
async function compareSteps(start: Start, lora: string) {
  const [plain, adapted] = [await start(flags.size), await start(flags.size)]
  await plain.next()
  await adapted.next()
  const ratios: number[] = []
  const seconds: [number[], number[]] = [[], []]
  let memory = 0
  let plainMemory = 0
  for (let step = 0; step <= steps; step++) {
    const without = await plain.ask('')
    const withLora = await adapted.ask(lora)
    plainMemory = without.peakGigabytes ?? 0
    memory = withLora.peakGigabytes ?? 0
    if (step === 0) continue
    ratios.push((withLora.cpuSeconds ?? 0) / (without.cpuSeconds ?? 0))
    seconds[0].push(without.cpuSeconds ?? 0)
    seconds[1].push(withLora.cpuSeconds ?? 0)
  }
  plain.end()
  adapted.end()
  const [without, withLora] = seconds.map((all) => median(all).toFixed(2))
  console.log(
    `  step: ${without} processor seconds without, ${withLora} with; median of ${steps} ratios in turns ${median(ratios).toFixed(3)}`,
  )
  console.log(
    `  peak memory of a process: ${plainMemory.toFixed(2)} GB without, ${memory.toFixed(2)} GB with; ratio ${(memory / plainMemory).toFixed(3)}`,
  )
}

/** From another LoRA's file to the end of its first step, less a step with a LoRA that is there already. */
async function timeSwitches(start: Start, loras: readonly string[], count: number) {
  const [plain, switching] = [await start(SMALL), await start(SMALL)]
  await plain.next()
  await switching.next()
  await plain.ask('')
  const baseline = (await plain.ask('')).peakGigabytes ?? 0
  plain.end()
  await switching.ask(loras[0])
  const steps = await repeated(5, () => switching.ask(loras[0]))
  const step = {
    seconds: median(steps.map(({ seconds = 0 }) => seconds)),
    cpuSeconds: median(steps.map(({ cpuSeconds = 0 }) => cpuSeconds)),
  }
  const taken: number[] = []
  const worked: number[] = []
  const memory: string[] = []
  let peak = 0
  for (let i = 1; i <= count; i++) {
    const {
      seconds = 0,
      cpuSeconds = 0,
      gigabytes = 0,
      peakGigabytes = 0,
    } = await switching.ask(loras[i % loras.length])
    taken.push(seconds - step.seconds)
    worked.push(cpuSeconds - step.cpuSeconds)
    peak = peakGigabytes
    if ([1, 10, 50, 100, 150, count].includes(i)) memory.push(`${gigabytes.toFixed(2)} after ${i}`)
  }
  switching.end()
  console.log(
    `  switch to another LoRA, to its first step: median ${median(taken).toFixed(3)} s, worst ${Math.max(...taken).toFixed(3)} s of ${count}; median ${median(worked).toFixed(3)} processor seconds`,
  )
  console.log(
    `  memory over the switches, GB: ${memory.join(', ')}; peak ${peak.toFixed(2)}, ${(peak / baseline).toFixed(3)} of the ${baseline.toFixed(2)} without LoRAs`,
  )
}

async function repeated<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let i = 0; i < count; i++) results.push(await work())
  return results
}

const scratch = await mkdtemp(join(tmpdir(), 'lora-switch-'))
try {
  const loras = await writeLoras(scratch)
  const sides: [string, Start, number][] = [['engine', engineProcess, switches]]
  // Switching takes the peer seconds; a few say it.
  if (flags.peer !== undefined) sides.push(['diffusers', peerProcess, Math.min(switches, 12)])
  for (const [name, start, count] of sides) {
    console.log(`${name}, LoRAs of rank ${rank} on every layer, ${flags.threads} threads`)
    await compareSteps(start, loras[0] as string)
    await timeSwitches(start, loras, count)
  }
} finally {
  await rm(scratch, { recursive: true })
}
