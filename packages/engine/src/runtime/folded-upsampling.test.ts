import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import { WeightCache } from '../checkpoint/prepared-weights.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { Graph } from '../graph/graph.ts'
import { upsampleNearest } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import { foldUpsampling } from './folded-upsampling.ts'
import { estimateCost, estimateOpenVinoCost } from './session-cost.ts'
import { WorkerRuntime } from './worker-runtime.ts'

const runtime = new WorkerRuntime({ threads: 1 })
const cache = new WeightCache()
let folder: string
let weights: ComponentWeights

const wave = (shape: Shape, scale = 1) =>
  float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => scale * Math.sin(i * i * 0.7311)),
  )

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'folded-'))
  const path = join(folder, 'model.safetensors')
  await writeSafetensors(path, {
    'few.weight': wave([32, 3, 3, 3], 0.2),
    'few.bias': wave([32]),
    'many.weight': wave([48, 32, 3, 3], 0.1),
    'many.bias': wave([48]),
  })
  weights = await openWeightFile('vae', path)
})
afterAll(async () => {
  await runtime.dispose()
  await cache.dispose()
  await rm(folder, { recursive: true })
})

/** Two maps that are doubled and then convolved, the first with fewer channels than a block; [2, 3, 5, 4] → [2, 48, 20, 16]. */
function doubledTwice(isPreview: boolean): Graph {
  const graph = new Graph('decoder', { isPreview })
  const root = new Scope(graph)
  const first = root.child('few').conv2d(upsampleNearest(graph.input('x', 'float32', [2, 3, 5, 4]), 10, 8), 32)
  graph.output('y', root.child('many').conv2d(upsampleNearest(first, 20, 16), 48))
  return graph
}

const feeds = { x: wave([2, 3, 5, 4]) }

const furthest = (found: FloatTensor, expected: FloatTensor) =>
  Math.max(...expected.data.map((value, i) => Math.abs(value - (found.data[i] ?? Number.POSITIVE_INFINITY))))

test('the filters that are made are in the estimate of a session’s memory', () => {
  // Four of 2×2 for each of 32·3 and 48·32 filters, float32.
  const made = 4 * 4 * 4 * (32 * 3 + 48 * 32)
  const fast = new WorkerRuntime({ fast: { kind: 'int8' } })
  const [exact, preview] = [doubledTwice(false), doubledTwice(true)].map((graph) => runtime.costOf(graph).workBytes)
  expect(preview).toBe((exact ?? 0) + made)
  expect(fast.costOf(doubledTwice(false)).workBytes).toBe(exact)
  const openVino = estimateOpenVinoCost(doubledTwice(false), {
    precision: 'bf16',
    convolutions: 'direct',
    linears: 'plain',
  }).workBytes
  const plain = estimateCost(doubledTwice(false))
  expect(openVino).toBe(plain.workBytes + Math.ceil(0.5 * (plain.weightBytes + made - (9 / 16) * made)))
})

describe('a convolution of a doubled map, folded', () => {
  test.each(['as it lies', 'in blocks'])(
    'gives what the convolution of the doubled map gives, its filter %s',
    async (form) => {
      const convolutionBlock = form === 'in blocks' ? await runtime.convolutionBlock() : undefined
      const prepared = await cache.prepare(weights, { convolutionBlock })
      const [plain, folded] = (await Promise.all(
        [false, true].map(async (isPreview) => {
          const session = await runtime.createSession(doubledTwice(isPreview), prepared)
          return (await session.run(feeds)).y as FloatTensor
        }),
      )) as [FloatTensor, FloatTensor]
      expect(folded.shape).toEqual([2, 48, 20, 16])
      expect(furthest(folded, plain)).toBeLessThan(2e-5)
      // Sums in another order are other sums: were they the same, nothing was folded.
      expect(folded.data).not.toEqual(plain.data)
    },
  )

  test('needs no doubled map, and four products in place of nine', () => {
    const graph = doubledTwice(true)
    const nowhere = { location: '', offset: 0, length: 0 }
    const { model, made } = foldUpsampling(
      graph.model(() => nowhere),
      (name) => graph.shapeOf(name),
      (name) => (graph.weights.has(name) ? { shape: graph.shapeOf(name), memory: graph.shapeOf(name) } : undefined),
    )
    expect(model.nodes.filter(({ opType }) => opType === 'Resize')).toEqual([])
    const kernels = model.nodes
      .filter(({ opType }) => opType === 'Conv')
      .map(({ attributes }) => attributes.kernel_shape)
    expect(kernels).toEqual(Array.from({ length: 8 }, () => [2, 2]))
    expect([...made.values()].filter(({ from }) => from === 'many.weight').map(({ shape }) => shape)).toEqual(
      Array.from({ length: 4 }, () => [48, 32, 2, 2]),
    )
  })

  test('stays as it is where something else reads the doubled map, as a LoRA does', () => {
    const graph = new Graph('decoder')
    const doubled = upsampleNearest(graph.input('x', 'float32', [1, 32, 4, 4]), 8, 8)
    graph.output('y', new Scope(graph, 'many').conv2d(doubled, 48))
    graph.output('doubled', doubled)
    const model = graph.model(() => ({ location: '', offset: 0, length: 0 }))
    const layoutOf = () => ({ shape: [48, 32, 3, 3], memory: [48 * 32, 3, 3, 1] })
    expect(foldUpsampling(model, (name) => graph.shapeOf(name), layoutOf).model).toBe(model)
  })
})
