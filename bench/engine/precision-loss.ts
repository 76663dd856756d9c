/**
 * What `fast` costs in fidelity: the PSNR of whole pictures against `exact`, over many prompts of a real checkpoint, and the processor
 * time of each form.
 *
 * Usage: npx tsx bench/engine/precision-loss.ts [--checkpoint models/pinhole-512] [--lora models/pinhole-lcm-lora/…] [--prompts 20]
 *        [--libraries FOLDER] [--cache FOLDER] [--threads 2]
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openLora } from '../../packages/engine/src/adapters/lora.ts'
import { applyLoras } from '../../packages/engine/src/pipelines/apply-loras.ts'
import { type Engine, openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../packages/engine/src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../packages/engine/src/pipelines/text-to-image.ts'
import type { FastForm } from '../../packages/engine/src/runtime/fast-form.ts'
import { median } from '../statistics.ts'
import { PROMPTS } from './prompts.ts'

const { values: flags } = parseArgs({
  options: {
    checkpoint: { type: 'string', default: 'models/pinhole-512' },
    lora: { type: 'string', default: 'models/pinhole-lcm-lora/pytorch_lora_weights.safetensors' },
    prompts: { type: 'string', default: '20' },
    libraries: { type: 'string' },
    cache: { type: 'string', default: join(tmpdir(), 'darkroom-bench') },
    threads: { type: 'string', default: '2' },
  },
})

interface Sampler {
  readonly name: string
  readonly scheduler: 'LCM' | 'DDIM'
  readonly steps: number
  readonly guidance: number
}

const SAMPLERS: readonly Sampler[] = [
  { name: 'LCM, 4 steps', scheduler: 'LCM', steps: 4, guidance: 1 },
  { name: 'DDIM, 20 steps, guidance 5', scheduler: 'DDIM', steps: 20, guidance: 5 },
]

interface Contender {
  readonly name: string
  readonly engine: Engine
  readonly model: StableDiffusion
}

async function open(name: string, fast?: FastForm): Promise<Contender> {
  const engine = openEngine({ threads: Number(flags.threads), cacheFolder: flags.cache, ...(fast && { fast }) })
  return { name, engine, model: await loadStableDiffusion(engine, flags.checkpoint) }
}

const { libraries, cache } = flags
const contenders = [await open('exact'), await open('int8 linear layers', { kind: 'int8' })]
if (libraries !== undefined) {
  const folders = { libraries, work: join(cache, 'openvino') }
  contenders.push(await open('OpenVINO bfloat16', { kind: 'openvino', precision: 'bf16', folders }))
}

/** Pixels of the picture and the processor's seconds it took. */
async function draw({ model }: Contender, sampler: Sampler, prompt: string, seed: bigint) {
  const before = process.cpuUsage()
  const adapted =
    sampler.scheduler === 'LCM'
      ? await applyLoras(model, [{ lora: await openLora(flags.lora), scale: 1 }])
      : { unet: [], textEncoders: {} }
  const run = textToImage(model, {
    prompt,
    negativePrompt: '',
    scheduler: { name: sampler.scheduler },
    schedule: { numInferenceSteps: sampler.steps },
    guidanceScale: sampler.guidance,
    seed,
    adapters: adapted,
    ...model.defaultSize,
  })
  for (;;) {
    const next = await run.next()
    if (!next.done) continue
    const { user, system } = process.cpuUsage(before)
    const [drawn] = next.value
    if (!drawn) throw new Error('nothing was drawn')
    return { pixels: drawn.image.data, seconds: (user + system) / 1e6 }
  }
}

function psnr(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2
  return 10 * Math.log10(255 ** 2 / (sum / a.length))
}

const prompts = PROMPTS.slice(0, Number(flags.prompts))
for (const sampler of SAMPLERS) {
  const results = new Map(contenders.map(({ name }) => [name, { seconds: [] as number[], psnr: [] as number[] }]))
  for (const [i, prompt] of prompts.entries()) {
    let reference: ArrayLike<number> | undefined
    for (const contender of contenders) {
      const { pixels, seconds } = await draw(contender, sampler, prompt, BigInt(i))
      const result = results.get(contender.name)
      // The first picture of each opens sessions.
      if (i > 0 || prompts.length === 1) result?.seconds.push(seconds)
      if (reference) result?.psnr.push(psnr(reference, pixels))
      reference ??= pixels
    }
  }
  const exact = median(results.get('exact')?.seconds ?? [])
  console.log(`${sampler.name}, ${prompts.length} prompts`)
  for (const [name, result] of results) {
    const time = median(result.seconds)
    const mean = result.psnr.reduce((sum, value) => sum + value, 0) / result.psnr.length
    const loss =
      result.psnr.length === 0
        ? ''
        : `  PSNR mean ${mean.toFixed(1)} dB, least ${Math.min(...result.psnr).toFixed(1)} dB`
    console.log(`  ${name.padEnd(20)} ${time.toFixed(2)} s of processor time (${(time / exact).toFixed(2)})${loss}`)
  }
}
for (const { engine } of contenders) await engine.dispose()
