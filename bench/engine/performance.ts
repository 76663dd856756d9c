/**
 * How fast the engine draws on this machine, beside its peers in the same run: UNet step, VAE decode and whole LCM pictures, the first of a process
 * and following ones, of SD1.5, SDXL and Pinhole sizes, in every arithmetic that is there; load and memory; what `fast` costs in fidelity. Each
 * measurement is a process of its own, in turns over the rounds.
 *
 * Usage: npx tsx bench/engine/performance.ts --work FOLDER [--models sd15,sdxl,pinhole] [--python PYTHON] [--libraries FOLDER]
 *        [--rounds 3] [--runs 3] [--steps 4] [--threads 2] [--prompts 20] [--output docs/guide/performance.md]
 *
 * --work holds checkpoints of random weights (made where they are missing: 4 GB for SD1.5, 13 GB for SDXL) and prepared weights;
 * --python has torch, diffusers and openvino; --libraries is OpenVINO's folder (`darkroom accelerate`).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type FastForm, OPENVINO_ARITHMETIC } from '../../packages/engine/src/runtime/fast-form.ts'
import { formLabel } from '../../packages/server/src/processes/arithmetic.ts'
import { median } from '../statistics.ts'
import { withMeasured } from './measured-page.ts'
import {
  COMPONENTS,
  type Measurement,
  type ProcessAnswer,
  type Quantity,
  type QuantityAnswer,
} from './performance-part.ts'
import { measureLoss } from './precision-loss.ts'
import { PROMPTS } from './prompts.ts'

const { values: flags } = parseArgs({
  options: {
    work: { type: 'string' },
    models: { type: 'string', default: 'sd15,sdxl,pinhole' },
    parts: { type: 'string', default: 'unet,vae,picture' },
    python: { type: 'string' },
    libraries: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: String(cpus().length) },
    prompts: { type: 'string', default: '20' },
    output: { type: 'string' },
  },
})
const { work, python, libraries } = flags
if (work === undefined) throw new Error('usage: performance.ts --work FOLDER [--python PYTHON] [--libraries FOLDER] …')
const [rounds, runs, steps, threads] = [flags.rounds, flags.runs, flags.steps, flags.threads].map(Number) as [
  number,
  number,
  number,
  number,
]

const MODELS: Readonly<Record<string, { readonly title: string; readonly size: number }>> = {
  sd15: { title: 'SD1.5 size, 512×512', size: 512 },
  sdxl: { title: 'SDXL size, 1024×1024', size: 1024 },
  pinhole: { title: 'Pinhole, 512×512', size: 512 },
}

/** The tables of each part, with their titles. */
const TABLES: Readonly<Record<Measurement['part'], Readonly<Partial<Record<Quantity, string>>>>> = {
  unet: { unet: 'UNet step' },
  vae: { vae: 'VAE decode' },
  picture: { first: 'First LCM picture of a process', following: 'Following LCM picture' },
}

interface Contender {
  readonly name: string
  readonly fast?: FastForm
  readonly peer?: { readonly library: 'torch' | 'openvino'; readonly dtype: string }
}

const cache = join(work, 'prepared')
const ours = (fast: FastForm): Contender => ({ name: `Darkroom, fast: ${formLabel(fast)}`, fast })
const contenders: Contender[] = [{ name: `Darkroom, exact: ${formLabel(undefined)}` }, ours({ kind: 'int8' })]
if (libraries !== undefined) {
  const folders = { libraries, work: join(cache, 'openvino') }
  // What each of the two ways gains by itself is in the decisions.
  const shown = OPENVINO_ARITHMETIC.filter(
    ({ convolutions, linears }) => (convolutions === 'direct') === (linears === 'plain'),
  )
  for (const each of shown) contenders.push(ours({ kind: 'openvino', ...each, folders }))
}
if (python !== undefined) {
  contenders.push({ name: 'torch, float32', peer: { library: 'torch', dtype: 'float32' } })
  contenders.push({ name: 'torch, bfloat16', peer: { library: 'torch', dtype: 'bfloat16' } })
  if (libraries !== undefined) {
    contenders.push({ name: "OpenVINO's Python, bfloat16", peer: { library: 'openvino', dtype: 'bf16' } })
  }
}

/** Runs one program to its end. @returns its last line; undefined when it failed, which it says itself */
function ask<T>(command: string, args: readonly string[]): T | undefined {
  const { stdout, status } = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })
  return status === 0 ? (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T) : undefined
}

/** Sections of one processor stay beside those of another. */
const PROCESSOR = (cpus()[0]?.model ?? 'unknown processor').replace(/\((R|TM)\)/g, '')

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const askEngine = <T>(measurement: Measurement) =>
  ask<T>(process.execPath, ['--import', 'tsx', here('performance-process.ts'), JSON.stringify(measurement)])

function measure({ fast, peer }: Contender, measurement: Measurement): ProcessAnswer | undefined {
  if (peer === undefined) return askEngine({ ...measurement, ...(fast && { fast }) })
  if (peer.library === 'torch')
    return ask(python ?? '', [here('performance_process.py'), JSON.stringify({ ...measurement, ...peer })])
  if (measurement.part === 'picture') return undefined
  const exported = askEngine<{ model: string }>({ ...measurement, isExport: true })
  return ask(python ?? '', [here('performance_process.py'), JSON.stringify({ ...measurement, ...peer, ...exported })])
}

function checkpointOf(model: string): string {
  if (model === 'pinhole') return fileURLToPath(new URL('../../models/pinhole-512', import.meta.url))
  const folder = join(work ?? '', `bench-${model}`)
  if (!existsSync(join(folder, 'model_index.json'))) {
    spawnSync(process.execPath, ['--import', 'tsx', here('make-checkpoint.ts'), model, folder], { stdio: 'inherit' })
  }
  return folder
}

/** Answers by contender's name, one for each round. */
type Answers = ReadonlyMap<string, readonly ProcessAnswer[]>

function measurePart(model: string, part: Measurement['part']): Answers {
  const answers = new Map<string, ProcessAnswer[]>()
  const { size = 512 } = MODELS[model] ?? {}
  const checkpoint = checkpointOf(model)
  const measurement: Measurement = { checkpoint, part, size, threads, runs, steps, prompts: PROMPTS, cache }
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const answer = measure(contender, measurement)
      if (answer === undefined) continue
      answers.set(contender.name, [...(answers.get(contender.name) ?? []), answer])
      console.error(`${model} ${part} round ${round + 1}: ${contender.name} ${JSON.stringify(answer)}`)
    }
  }
  return answers
}

function of(quantity: Quantity, answers: readonly ProcessAnswer[] = []): QuantityAnswer[] {
  return answers.flatMap((answer) => answer[quantity] ?? [])
}

/** Seconds, with the digits that a short time needs. */
function seconds(value: number): string {
  return value.toFixed(value < 1 ? 3 : 2)
}

/** A row for each contender: median by the clock, its ratio to both torches, processor time, load, memory. */
function table(title: string, quantity: Quantity, answers: Answers): string {
  const middle = (name: string, field: 'seconds' | 'processor') =>
    median(of(quantity, answers.get(name)).flatMap((answer) => answer[field]))
  const ratio = (name: string, field: 'seconds' | 'processor', to: string) => {
    const value = middle(name, field) / middle(to, field)
    return Number.isFinite(value) ? value.toFixed(2) : ''
  }
  const hasLoad = quantity !== 'following'
  const rows = [...answers].map(([name, processes]) => {
    const all = of(quantity, processes)
    const gigabytes = (field: 'peakBytes' | 'ownBytes') =>
      (Math.max(...all.map((each) => each[field])) / 1e9).toFixed(2)
    const load = hasLoad ? [median(all.flatMap((each) => each.load ?? [])).toFixed(2)] : []
    const [wall, processor] = [seconds(middle(name, 'seconds')), seconds(middle(name, 'processor'))]
    const to = (field: 'seconds' | 'processor') =>
      ['torch, float32', 'torch, bfloat16'].map((torch) => ratio(name, field, torch))
    return [
      name,
      wall,
      ...to('seconds'),
      processor,
      ...to('processor'),
      ...load,
      gigabytes('peakBytes'),
      gigabytes('ownBytes'),
    ]
  })
  const load = quantity === 'first' ? 'of it opening, s' : 'load s'
  const columns = ['s', 'to torch float32', 'to torch bfloat16', 'processor s', 'to float32', 'to bfloat16']
  return inMarkdown([[title, ...columns, ...(hasLoad ? [load] : []), 'peak GB', 'own GB'], ...rows])
}

/** Where the time of pictures goes, by the clock. */
function componentsTable(answers: Answers): string {
  const rows = [...answers].map(([name, processes]) => {
    const following = of('following', processes)
    const parts = COMPONENTS.map((component) => median(following.flatMap((each) => each.components?.[component] ?? [])))
    const whole = median(following.flatMap((each) => each.seconds))
    return [name, ...[...parts, whole - parts.reduce((sum, part) => sum + part, 0)].map(seconds)]
  })
  const columns = [...COMPONENTS, 'the rest'].map((column) => `${column}, s`)
  return inMarkdown([['Following LCM picture, where its time goes', ...columns], ...rows])
}

function inMarkdown([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

function versions(): string {
  const engine = JSON.parse(readFileSync(here('../../packages/engine/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const script =
    'import torch,diffusers,json;print(json.dumps(f"torch {torch.__version__}, diffusers {diffusers.__version__}"))'
  const peer = python === undefined ? '' : `, ${ask<string>(python, ['-c', script]) ?? ''}`
  return `Node ${process.versions.node}, onnxruntime-node ${engine.dependencies['onnxruntime-node']}${libraries === undefined ? '' : ', OpenVINO 2026.4.1'}${peer}`
}

/** What the processor has of what these libraries use. */
function features(): string {
  const info = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''
  const found = ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8'].filter((flag) =>
    info.includes(flag),
  )
  return `${cpus().length} cores (${found.join(', ')})`
}

const measuredOn = `Measured on ${new Date().toISOString().slice(0, 10)}: ${PROCESSOR}, ${features()}; ${versions()}; ${threads} threads; rounds: ${rounds}, of ${runs} runs each; medians.`
const sections = new Map<string, string>()
for (const model of flags.models.split(',').filter((each) => each !== '')) {
  const tables = (flags.parts.split(',') as Measurement['part'][]).flatMap((part) => {
    const answers = measurePart(model, part)
    const quantities = Object.entries(TABLES[part]) as [Quantity, string][]
    const found = quantities.map(([quantity, title]) => table(title, quantity, answers))
    return part === 'picture' ? [...found, componentsTable(answers)] : found
  })
  sections.set(`${MODELS[model]?.title ?? model}, ${PROCESSOR}`, [measuredOn, ...tables].join('\n\n'))
}
const prompts = Number(flags.prompts)
if (prompts > 0) {
  const loss = await measureLoss({ prompts, threads, cache, libraries })
  sections.set(`Fidelity of \`fast\`, ${PROCESSOR}`, [measuredOn, loss].join('\n\n'))
}
for (const [title, text] of sections) console.log(`### ${title}\n\n${text}\n`)
if (flags.output !== undefined) {
  writeFileSync(flags.output, withMeasured(readFileSync(flags.output, 'utf8'), sections))
}
