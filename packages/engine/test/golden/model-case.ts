/** Runs graphs on the cases of data/models (made by scripts/golden/models.py) and compares them with diffusers. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkWeights } from '../../src/checkpoint/check-weights.ts'
import {
  type ComponentWeights,
  type KeyRenames,
  openComponentWeights,
  openWeightFile,
} from '../../src/checkpoint/component-weights.ts'
import { WeightCache, type Weights } from '../../src/checkpoint/prepared-weights.ts'
import { readSafetensors, readTensor } from '../../src/formats/safetensors.ts'
import type { Graph } from '../../src/graph/graph.ts'
import type { FastForm } from '../../src/runtime/fast-form.ts'
import type { ExecutionProvider } from '../../src/runtime/session.ts'
import { WorkerRuntime } from '../../src/runtime/worker-runtime.ts'
import { type FloatTensor, int64, type Tensor } from '../../src/tensor/tensor.ts'

/** Another device than the CPU to run the same cases on: `webgpu`, `cuda` … Its sums are taken in another order. */
export const TEST_DEVICE = (process.env.DARKROOM_TEST_DEVICE ?? 'cpu') as ExecutionProvider
const DEVICE_TOLERANCE = 1e-3

/** How far results may be off here, relative to the largest: `tolerance` on the CPU. */
export const toleranceHere = (tolerance: number) => (TEST_DEVICE === 'cpu' ? tolerance : DEVICE_TOLERANCE)

export const DATA = join(import.meta.dirname, 'data')

/** One case: tensors by name, and where the model is. */
export interface ModelCase {
  readonly tensors: ReadonlyMap<string, FloatTensor>
  /** Folder or file of the model below data/. */
  readonly weights: string
  readonly tolerance: number
}

/** @param folder below data/ */
export async function readCase(name: string, folder = 'models'): Promise<ModelCase> {
  const file = await readSafetensors(join(DATA, folder, `${name}.safetensors`))
  const tensors = new Map<string, FloatTensor>()
  for (const key of file.tensors.keys()) tensors.set(key, await readTensor(file, key))
  const { weights, tolerance }: Omit<ModelCase, 'tensors'> = JSON.parse(file.metadata.case as string)
  return { tensors, weights, tolerance: toleranceHere(tolerance) }
}

/** The shape of one of the tensors, up to four axes. */
export function shapeOf(tensors: ReadonlyMap<string, Tensor>, name: string): [number, number, number, number] {
  const tensor = tensors.get(name)
  if (!tensor) throw new Error(`the case has no ${name}`)
  return tensor.shape as unknown as [number, number, number, number]
}

export async function readConfig(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(join(DATA, folder, 'config.json'), 'utf8'))
}

/** Sessions of one test file; `dispose` ends them. */
export class ModelRunner {
  readonly #runtime: WorkerRuntime
  readonly #cache = new WeightCache()
  readonly #isFast: boolean

  /** @param fast what to compute in; absent: float32 */
  constructor(fast?: FastForm) {
    this.#runtime = new WorkerRuntime({ threads: 1, executionProvider: TEST_DEVICE, ...(fast && { fast }) })
    this.#isFast = fast !== undefined
  }

  /** Weights of a folder below data/, which must fit the graphs to the last key. */
  async weights(folder: string, graphs: readonly Graph[], renames: KeyRenames = {}): Promise<Weights> {
    const opened = await openComponentWeights(folder, join(DATA, folder), { renames })
    checkWeights(opened, graphs)
    return this.#prepare(opened, graphs)
  }

  /** Weights of a folder below data/ of which a graph needs a part. */
  async partOf(folder: string): Promise<Weights> {
    return this.#cache.prepare(await openComponentWeights(folder, join(DATA, folder)))
  }

  /** Weights of one safetensors file anywhere. */
  async weightFile(path: string, graphs: readonly Graph[], renames: KeyRenames = {}): Promise<Weights> {
    const opened = await openWeightFile('model', path, renames)
    checkWeights(opened, graphs)
    return this.#prepare(opened, graphs)
  }

  async #prepare(opened: ComponentWeights, graphs: readonly Graph[]): Promise<Weights> {
    return this.#cache.prepare(opened, this.#isFast ? await this.#runtime.weightForm(graphs) : {})
  }

  /** Runs a graph once. Feeds for int64 inputs may be given as float32. */
  async run(graph: Graph, weights: Weights, feeds: ReadonlyMap<string, Tensor>): Promise<Record<string, FloatTensor>> {
    const session = await this.#runtime.createSession(graph, weights)
    const inputs = graph.inputs.map(({ name, dtype }) => {
      const feed = feeds.get(name)
      if (!feed) throw new Error(`the case has no ${name}`)
      return [name, dtype === 'int64' ? int64(feed.shape, Array.from(feed.data as Float32Array)) : feed] as const
    })
    const outputs = await session.run(Object.fromEntries(inputs))
    await session.release()
    return outputs as Record<string, FloatTensor>
  }

  async dispose(): Promise<void> {
    await this.#runtime.dispose()
    await this.#cache.dispose()
  }
}
