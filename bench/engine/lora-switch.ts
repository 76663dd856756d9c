/**
 * What LoRAs cost an SD1.5-size UNet that is loaded: a step with one of rank 32 on every layer against a step without, the time from
 * asking for another one to its first evaluation, and memory over many of them.
 *
 * Usage: npx tsx bench/engine/lora-switch.ts CHECKPOINT --cache FOLDER [--size 64] [--threads 2] [--steps 5] [--switches 200] [--rank 32]
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuUsage } from 'node:process'
import { parseArgs } from 'node:util'
import { openLora } from '../../packages/engine/src/adapters/lora.ts'
import { LoraBranches } from '../../packages/engine/src/adapters/lora-branches.ts'
import { loraChanges } from '../../packages/engine/src/adapters/lora-changes.ts'
import type { UNetAdapter } from '../../packages/engine/src/adapters/unet-adapter.ts'
import { writeSafetensors } from '../../packages/engine/src/formats/safetensors.ts'
import { openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../../packages/engine/src/tensor/tensor.ts'
import { median, timed } from '../statistics.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string' },
    rank: { type: 'string', default: '32' },
    size: { type: 'string', default: '64' },
    steps: { type: 'string', default: '5' },
    switches: { type: 'string', default: '200' },
    threads: { type: 'string', default: '2' },
  },
})
const [folder] = positionals
if (folder === undefined || flags.cache === undefined) {
  throw new Error('usage: lora-switch.ts CHECKPOINT --cache FOLDER …')
}
const [rank, size, steps, switches] = [flags.rank, flags.size, flags.steps, flags.switches].map(Number) as [
  number,
  number,
  number,
  number,
]

const engine = openEngine({ threads: Number(flags.threads), cacheFolder: flags.cache })
const model = await loadStableDiffusion(engine, folder)
const scratch = await mkdtemp(join(tmpdir(), 'lora-switch-'))

function wave(shape: Shape, phase: number): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898 + phase) * 0.02),
  )
}

/** A LoRA file with kohya's names on every layer. */
async function writeLora(phase: number): Promise<string> {
  const tensors: Record<string, FloatTensor> = {}
  for (const [path, [out, ...rest]] of model.unet.layers) {
    const name = `lora_unet_${path.replaceAll('.', '_')}`
    tensors[`${name}.lora_down.weight`] = wave([rank, ...rest], phase)
    tensors[`${name}.lora_up.weight`] = wave([out as number, rank, ...rest.slice(1).map(() => 1)], phase)
  }
  const path = join(scratch, `${phase}.safetensors`)
  await writeSafetensors(path, tensors)
  return path
}

async function adapterOf(path: string): Promise<UNetAdapter> {
  const { changes } = await loraChanges('unet', model.unet.layers, [{ lora: await openLora(path) }])
  return new LoraBranches(model.unet.layers, changes).asUNetAdapter()
}

function evaluate(side: number, adapters: readonly UNetAdapter[]): Promise<FloatTensor> {
  const latentSize = { height: side, width: side }
  const input = {
    sample: wave([1, model.unet.config.inChannels, side, side], 0),
    timestep: 500,
    encoderHiddenStates: wave([1, 77, model.unet.config.crossAttentionChannels], 0),
  }
  return model.unet.predict(input, adapters, {
    step: 0,
    steps: 1,
    latentSize,
    window: { top: 0, left: 0, ...latentSize },
  })
}

/**
 * Linux's proportional share of memory in GB: a page of the weights that two sessions map is one page, where RSS counts it twice.
 */
function gigabytes(): string {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8')
  return ((Number(/Pss:\s+(\d+)/.exec(rollup)?.[1]) * 1024) / 1e9).toFixed(2)
}

/** Processor seconds, which other work on the machine does not stretch; exact with one thread, two spin while they wait. */
async function cpuSeconds(work: () => Promise<unknown>): Promise<number> {
  const before = cpuUsage()
  await work()
  const { user, system } = cpuUsage(before)
  return (user + system) / 1e6
}

const files = [await writeLora(0), await writeLora(1)]
await evaluate(size, [])
console.log(`loaded, one step without LoRA: memory ${gigabytes()} GB`)
let adapter = await adapterOf(files[0] as string)
await evaluate(size, [adapter])
console.log(`one step with a LoRA of rank ${rank} on ${model.unet.layers.size} layers: memory ${gigabytes()} GB`)
const [plain, adapted]: [number[], number[]] = [[], []]
for (let i = 0; i < steps; i++) {
  plain.push(await cpuSeconds(() => evaluate(size, [])))
  adapted.push(await cpuSeconds(() => evaluate(size, [adapter])))
}
const ratios = plain.map((seconds, i) => (adapted[i] as number) / seconds)
console.log(
  `processor seconds of a step: without ${median(plain).toFixed(2)}, with ${median(adapted).toFixed(2)}; median of ${steps} ratios ${median(ratios).toFixed(3)}`,
)

// Switching does not depend on the picture's size, so the small one that lets many be tried will do.
const SMALL = 8
await evaluate(SMALL, [adapter])
const [, alone] = await timed(() => evaluate(SMALL, [adapter]))
const seconds: number[] = []
for (let i = 0; i < switches; i++) {
  const [, taken] = await timed(async () => {
    adapter = await adapterOf(files[i % 2] as string)
    return evaluate(SMALL, [adapter])
  })
  seconds.push(taken - alone)
  if (i % 50 === 0 || i === switches - 1) console.log(`switch ${i}: ${taken.toFixed(2)} s, memory ${gigabytes()} GB`)
}
console.log(
  `from another LoRA's file to its first step: median ${median(seconds).toFixed(3)} s, worst ${Math.max(...seconds).toFixed(3)} s of ${switches}`,
)
await engine.dispose()
await rm(scratch, { recursive: true })
