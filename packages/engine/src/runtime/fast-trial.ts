import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import { WeightCache } from '../checkpoint/prepared-weights.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { Graph, type Value } from '../graph/graph.ts'
import { reshape, silu, transpose } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { relativeError } from '../tensor/relative-error.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import { type FastForm, OPENVINO_ARITHMETIC, type OpenVinoFolders } from './fast-form.ts'
import type { ExecutionProvider, Session } from './session.ts'
import { WorkerRuntime } from './worker-runtime.ts'

/** What one form took and gave. */
export interface FormTrial {
  /** Absent: onnxruntime in float32, as `exact` is. */
  readonly form: FastForm | undefined
  /** Seconds of a run, the best of some; absent where it failed. */
  readonly seconds?: number
  /** The largest difference from float32, relative to the largest result. */
  readonly error?: number
  /** Why it failed, in one line. */
  readonly problem?: string
}

export interface TrialOptions {
  readonly threads?: number
  /** Default `cpu`. */
  readonly executionProvider?: ExecutionProvider
  /** Of several GPUs; default 0. */
  readonly deviceNumber?: number
  /** OpenVINO's, where it is installed; of the CPU. */
  readonly openVino?: OpenVinoFolders
}

/** A form must win by so much: it is worth a difference in the picture only then. */
const LEAST_GAIN = 0.95

/** Results further off than this come from kernels that are broken or saturate: bfloat16 has 8 bits, and so has a quantised activation. */
const LARGEST_ERROR = 0.05

/** The best of so many: other programs slow some of them. */
const ROUNDS = 6
const CHANNELS = 320
const SIZE = 40
const FEATURES = 1280

/**
 * Runs 3×3 convolutions and linear layers of a UNet's size in every form that is there: what a processor gains from bfloat16 or from 8
 * bits, or loses, is not in any of its names.
 */
export async function tryFastForms(options: TrialOptions): Promise<FormTrial[]> {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-trial-'))
  const cache = new WeightCache({ folder: join(folder, 'prepared') })
  const contenders: Contender[] = []
  try {
    const weights = await writeWeights(join(folder, 'model.safetensors'))
    for (const form of formsFor(options))
      contenders.push(await open(form, join(folder, 'openvino'), { weights, cache, options }))
    // In turns: another program that is busy for a second then slows all of them.
    const feeds = trialFeeds()
    for (let round = 0; round < ROUNDS; round++) for (const each of contenders) await runOnce(each, feeds)
    const exact = contenders[0]?.result
    return contenders.map((contender) => trialOf(contender, exact))
  } finally {
    for (const { runtime } of contenders) await runtime.dispose()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Float32 first: what the others are held against. */
function formsFor({ executionProvider = 'cpu', openVino }: TrialOptions): (FastForm | undefined)[] {
  if (executionProvider !== 'cpu') return [undefined, { kind: 'float16' }]
  const forms: (FastForm | undefined)[] = [undefined, { kind: 'int8' }]
  if (openVino)
    forms.push(...OPENVINO_ARITHMETIC.map((each) => ({ kind: 'openvino', ...each, folders: openVino }) as const))
  return forms
}

/**
 * The form to draw in: the fastest that computes what float32 does, within its digits; on a GPU float16, where it is right.
 * @returns undefined where none gains anything
 */
export function fastestForm(trials: readonly FormTrial[]): FastForm | undefined {
  const [exact] = trials
  let best: FormTrial | undefined = exact
  for (const trial of trials) {
    if (trial.seconds === undefined || (trial.error ?? 0) > LARGEST_ERROR) continue
    // On a GPU the trial's time is that of copying its tensors there and back, and half the memory is worth float16 in any case.
    const isFasterOrSmaller =
      trial.form?.kind === 'float16' || trial.seconds < LEAST_GAIN * (best?.seconds ?? Number.POSITIVE_INFINITY)
    if (isFasterOrSmaller) best = trial
  }
  return best?.form
}

interface Contender {
  readonly form: FastForm | undefined
  readonly runtime: WorkerRuntime
  session?: Session
  result?: FloatTensor
  seconds: number
  problem?: string
}

interface TrialWeights {
  readonly weights: ComponentWeights
  readonly cache: WeightCache
  readonly options: TrialOptions
}

/** @param work folder of the trial's own in place of OpenVINO's */
async function open(
  form: FastForm | undefined,
  work: string,
  { weights, cache, options: { threads, executionProvider, deviceNumber } }: TrialWeights,
): Promise<Contender> {
  const fast = form?.kind === 'openvino' ? { ...form, folders: { ...form.folders, work } } : form
  const runtime = new WorkerRuntime({
    ...(threads !== undefined && { threads }),
    ...(executionProvider && { executionProvider }),
    ...(deviceNumber !== undefined && { deviceNumber }),
    ...(fast && { fast }),
  })
  const contender: Contender = { form, runtime, seconds: Number.POSITIVE_INFINITY }
  try {
    const prepared = await cache.prepare(weights, await runtime.weightForm([trialGraph()]))
    contender.session = await runtime.createSession(trialGraph(), prepared)
    contender.result = (await contender.session.run(trialFeeds())).y as FloatTensor
  } catch (error) {
    contender.problem = String((error as Error).message).split('\n')[0] ?? ''
  }
  return contender
}

async function runOnce(contender: Contender, feeds: Parameters<Session['run']>[0]): Promise<void> {
  if (contender.result === undefined) return
  const started = performance.now()
  await contender.session?.run(feeds)
  contender.seconds = Math.min(contender.seconds, (performance.now() - started) / 1000)
}

function trialOf({ form, seconds, result, problem }: Contender, exact: FloatTensor | undefined): FormTrial {
  return {
    form,
    ...(Number.isFinite(seconds) && { seconds }),
    ...(result && exact && { error: relativeError(result, exact) }),
    ...(problem !== undefined && { problem }),
  }
}

function trialFeeds() {
  return { x: wave([1, CHANNELS, SIZE, SIZE], 1) }
}

/** Convolutions and linear layers of SD1.5's first block, in the shares that its arithmetic has of them. */
function trialGraph(): Graph {
  const graph = new Graph('trial', { toleratesReducedPrecision: true, fitsFloat16: true })
  const root = new Scope(graph)
  const convolved = (x: Value, name: string) => silu(root.child(name).conv2d(x, CHANNELS))
  const map = convolved(convolved(graph.input('x', 'float32', [1, CHANNELS, SIZE, SIZE]), 'conv1'), 'conv2')
  const tokens = transpose(reshape(map, [1, CHANNELS, SIZE * SIZE]), [0, 2, 1])
  graph.output('y', root.child('linear2').linear(silu(root.child('linear1').linear(tokens, FEATURES)), CHANNELS))
  return graph
}

async function writeWeights(path: string): Promise<ComponentWeights> {
  await writeSafetensors(path, {
    'conv1.weight': wave([CHANNELS, CHANNELS, 3, 3], 0.02),
    'conv1.bias': wave([CHANNELS], 0.1),
    'conv2.weight': wave([CHANNELS, CHANNELS, 3, 3], 0.02),
    'conv2.bias': wave([CHANNELS], 0.1),
    'linear1.weight': wave([FEATURES, CHANNELS], 0.05),
    'linear1.bias': wave([FEATURES], 0.1),
    'linear2.weight': wave([CHANNELS, FEATURES], 0.03),
    'linear2.bias': wave([CHANNELS], 0.1),
  })
  return openWeightFile('trial', path)
}

/** Values without a pattern that a layer could add up to something large. */
function wave(shape: Shape, scale: number): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => scale * Math.sin(i * i * 0.7311)),
  )
}
