import { openLora } from '../../packages/engine/src/adapters/lora.ts'
import { applyLoras } from '../../packages/engine/src/pipelines/apply-loras.ts'
import { type Engine, openEngine } from '../../packages/engine/src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../packages/engine/src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../packages/engine/src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../packages/engine/src/pipelines/text-to-image.ts'
import { type FastForm, OPENVINO_ARITHMETIC } from '../../packages/engine/src/runtime/fast-form.ts'
import { formLabel } from '../../packages/server/src/processes/arithmetic.ts'
import { median } from '../statistics.ts'
import { PROMPTS } from './prompts.ts'

const CHECKPOINT = 'models/pinhole-512'
const LCM_LORA = 'models/pinhole-lcm-lora/pytorch_lora_weights.safetensors'

export interface LossOptions {
  /** How many of the twenty. */
  readonly prompts: number
  readonly threads: number
  readonly cache: string
  /** OpenVINO's, where it is to be measured. */
  readonly libraries?: string | undefined
}

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

/**
 * What `fast` costs in fidelity: the PSNR of whole pictures of the demo checkpoint against `exact`, and the processor time of each form.
 * @returns a table in Markdown
 */
export async function measureLoss(options: LossOptions): Promise<string> {
  const { libraries, cache } = options
  const contenders = [await open(options), await open(options, { kind: 'int8' })]
  if (libraries !== undefined) {
    const folders = { libraries, work: `${cache}/openvino` }
    // No convolution of the demo checkpoint is large enough for Winograd's form.
    const lossy = OPENVINO_ARITHMETIC.filter(
      ({ precision, convolutions, linears }) =>
        convolutions === 'direct' && (precision === 'bf16' || linears === 'int8'),
    )
    for (const each of lossy) contenders.push(await open(options, { kind: 'openvino', ...each, folders }))
  }
  const rows = []
  for (const sampler of SAMPLERS) rows.push(...(await rowsOf(sampler, contenders, options)))
  for (const { engine } of contenders) await engine.dispose()
  return [
    `| ${options.prompts} prompts, Pinhole 512×512 | | processor time | PSNR mean | least |`,
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

async function open({ threads, cache }: LossOptions, fast?: FastForm): Promise<Contender> {
  const engine = openEngine({ threads, cacheFolder: cache, ...(fast && { fast }) })
  return { name: fast ? formLabel(fast) : 'exact', engine, model: await loadStableDiffusion(engine, CHECKPOINT) }
}

async function rowsOf(sampler: Sampler, contenders: readonly Contender[], options: LossOptions): Promise<string[]> {
  const results = new Map(contenders.map(({ name }) => [name, { seconds: [] as number[], psnr: [] as number[] }]))
  for (const [i, prompt] of PROMPTS.slice(0, options.prompts).entries()) {
    let reference: ArrayLike<number> | undefined
    for (const contender of contenders) {
      const { pixels, seconds } = await draw(contender, sampler, prompt, BigInt(i))
      const result = results.get(contender.name)
      // The first picture of each opens sessions.
      if (i > 0 || options.prompts === 1) result?.seconds.push(seconds)
      if (reference) result?.psnr.push(psnr(reference, pixels))
      reference ??= pixels
    }
  }
  const exact = median(results.get('exact')?.seconds ?? [])
  return [...results].map(([name, { seconds, psnr: found }]) => {
    const mean = found.reduce((sum, value) => sum + value, 0) / found.length
    const loss = found.length === 0 ? ['', ''] : [`${mean.toFixed(1)} dB`, `${Math.min(...found).toFixed(1)} dB`]
    return `| ${[sampler.name, name, (median(seconds) / exact).toFixed(2), ...loss].join(' | ')} |`
  })
}

/** Pixels of the picture and the processor's seconds it took. */
async function draw({ model }: Contender, sampler: Sampler, prompt: string, seed: bigint) {
  const before = process.cpuUsage()
  const isLcm = sampler.scheduler === 'LCM'
  const adapters = isLcm ? await applyLoras(model, [{ lora: await openLora(LCM_LORA), scale: 1 }]) : {}
  const run = textToImage(model, {
    prompt,
    negativePrompt: '',
    scheduler: { name: sampler.scheduler },
    schedule: { numInferenceSteps: sampler.steps },
    guidanceScale: sampler.guidance,
    seed,
    adapters,
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
