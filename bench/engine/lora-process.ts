/**
 * A process of lora-switch.ts that draws with an SD1.5-size UNet: each line on stdin is the path of a LoRA to evaluate it with, or empty for
 * none, and is answered by what the evaluation took.
 *
 * Usage: started by lora-switch.ts; arguments: CHECKPOINT CACHE THREADS SIZE
 */
import { readFileSync } from 'node:fs'
import { cpuUsage, stdin } from 'node:process'
import { createInterface } from 'node:readline'
import { applyLoras, loadStableDiffusion, sortLoras } from '../../packages/engine/src/index.ts'
import { openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../../packages/engine/src/tensor/tensor.ts'

const [folder = '', cacheFolder = '', threads, size] = process.argv.slice(2)
const side = Number(size)
const engine = openEngine({ threads: Number(threads), cacheFolder })
const model = await loadStableDiffusion(engine, folder)

function wave(shape: Shape): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898) * 0.02),
  )
}

async function open(path: string) {
  if (path === '') return []
  const { beside } = await sortLoras(model, [{ path, scale: 1 }])
  return applyLoras(model, beside).unet ?? []
}

/** Linux's proportional share of memory in GB: a page of the weights that two sessions map is one page, where RSS counts it twice. */
function proportionalGigabytes(): number {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8')
  return (Number(/Pss:\s+(\d+)/.exec(rollup)?.[1]) * 1024) / 1e9
}

function peakGigabytes(): number {
  return (Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024) / 1e9
}

console.log(JSON.stringify({ layers: model.unet.layers.size }))
let path = ''
let adapters = await open(path)
for await (const line of createInterface({ input: stdin })) {
  const [started, before] = [performance.now(), cpuUsage()]
  if (line !== path) adapters = await open(line)
  path = line
  const latentSize = { height: side, width: side }
  const input = {
    sample: wave([1, model.unet.config.inChannels, side, side]),
    timestep: 500,
    encoderHiddenStates: wave([1, 77, model.unet.config.crossAttentionChannels]),
  }
  const step = { step: 0, steps: 1, latentSize, window: { top: 0, left: 0, ...latentSize } }
  await model.unet.predict(input, adapters, step)
  const seconds = (performance.now() - started) / 1000
  const { user, system } = cpuUsage(before)
  const memory = { gigabytes: proportionalGigabytes(), peakGigabytes: peakGigabytes() }
  console.log(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, ...memory }))
}
await engine.dispose()
