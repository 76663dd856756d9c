import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blockFilter, isBlockable } from '../checkpoint/blocked-filter.ts'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import { WeightCache } from '../checkpoint/prepared-weights.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { Graph } from '../graph/graph.ts'
import { add } from '../graph/ops.ts'
import { type Conv2dOptions, Scope } from '../graph/scope.ts'
import { elementCount, type FloatTensor, float32, type Shape } from '../tensor/tensor.ts'
import { WorkerRuntime } from './worker-runtime.ts'

const runtime = new WorkerRuntime({ threads: 1 })
const cache = new WeightCache()
let folder: string
let weights: ComponentWeights

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocked-'))
  await writeSafetensors(join(folder, 'w'), {
    'few.weight': integers([32, 4, 3, 3], 5),
    'many.weight': integers([64, 32, 3, 3], 7),
    'point.weight': integers([64, 64, 1, 1], 5),
    'odd.weight': integers([3, 64, 3, 3], 7),
    'point.bias': integers([64], 9),
  })
  weights = await openWeightFile('convolutions', join(folder, 'w'))
})
afterAll(async () => {
  await runtime.dispose()
  await cache.dispose()
  await rm(folder, { recursive: true })
})

function integers(shape: Shape, modulus: number): FloatTensor {
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => ((i * 31) % modulus) - 2),
  )
}

function convolutions(): Graph {
  const graph = new Graph('convolutions')
  const root = new Scope(graph)
  const conv = (name: string, x: Parameters<Scope['conv2d']>[0], channels: number, options: Conv2dOptions) =>
    root.child(name).conv2d(x, channels, { bias: false, ...options })
  let x = conv('few', graph.input('x', 'float32', [2, 4, 7, 5]), 32, {})
  x = conv('many', x, 64, { stride: 2, padding: 1 })
  x = add(x, conv('point', x, 64, { kernel: 1, bias: true }))
  graph.output('y', conv('odd', x, 3, {}))
  return graph
}

test('filters are laid out in blocks', () => {
  const filter = float32([4, 2, 1, 1], Float32Array.from([0, 1, 10, 11, 20, 21, 30, 31]))
  expect([...blockFilter(filter.data, filter.shape, 2)]).toEqual([0, 10, 1, 11, 20, 30, 21, 31])
  expect([...blockFilter(filter.data, filter.shape, 4)]).toEqual([0, 10, 20, 30, 1, 11, 21, 31])
  const shapes: Shape[] = [
    [32, 16, 3, 3],
    [32, 4, 3, 3],
    [32, 24, 3, 3],
    [4, 32, 3, 3],
    [32, 32],
  ]
  expect(shapes.map((shape) => isBlockable(shape, 16))).toEqual([true, true, false, false, false])
})

test('the probe finds a block size or none, and always the same', async () => {
  const block = await runtime.convolutionBlock()
  expect([16, 8, 4, undefined]).toContain(block)
  expect(await runtime.convolutionBlock()).toBe(block)
  expect(await new WorkerRuntime({ executionProvider: 'cuda' }).convolutionBlock()).toBeUndefined()
})

describe('blocked weights', () => {
  test('give the same results as the checkpoint’s own layout', async () => {
    const convolutionBlock = await runtime.convolutionBlock()
    const x = integers([2, 4, 7, 5], 7)
    const plain = await runtime.createSession(convolutions(), await cache.prepare(weights))
    const blocked = await runtime.createSession(convolutions(), await cache.prepare(weights, { convolutionBlock }))
    const [expected, actual] = [await plain.run({ x }), await blocked.run({ x })]
    expect(new Set((expected.y as FloatTensor).data).size).toBeGreaterThan(20)
    expect(actual).toEqual(expected)
  })

  test('are refused by a runtime with other kernels and by anything but a convolution', async () => {
    const foreign = await cache.prepare(weights, { convolutionBlock: 2 })
    await expect(runtime.createSession(convolutions(), foreign)).rejects.toThrow(/in blocks of 2, this runtime's are/)
    const convolutionBlock = await runtime.convolutionBlock()
    if (convolutionBlock === undefined) return
    const graph = new Graph('sum')
    const w = graph.weight('many.weight', [64, 32, 3, 3])
    graph.output('y', add(w, w))
    await expect(runtime.createSession(graph, await cache.prepare(weights, { convolutionBlock }))).rejects.toThrow(
      /Add .*stored for convolutions only/,
    )
  })
})
