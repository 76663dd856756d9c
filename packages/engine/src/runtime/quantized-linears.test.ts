import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { wave } from '../../test/fixtures/wave.ts'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import { WeightCache } from '../checkpoint/prepared-weights.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { Graph, type Value } from '../graph/graph.ts'
import { mul } from '../graph/ops.ts'
import { Scope } from '../graph/scope.ts'
import { quantizableLinears } from './quantized-linears.ts'
import { WorkerRuntime } from './worker-runtime.ts'

const exact = new WorkerRuntime({ threads: 1 })
const fast = new WorkerRuntime({ threads: 1, fast: { kind: 'int8' } })
const cache = new WeightCache()
let folder: string
let weights: ComponentWeights

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quantized-'))
  const path = join(folder, 'model.safetensors')
  await writeSafetensors(path, {
    'conv.weight': wave([16, 16, 3, 3], 0.1),
    'conv.bias': wave([16]),
    'proj_in.weight': wave([32, 64, 1, 1], 0.2),
    'proj_in.bias': wave([32]),
    'post_quant_conv.weight': wave([16, 16, 1, 1], 0.2),
    'post_quant_conv.bias': wave([16]),
    'block.to_q.weight': wave([32, 16], 0.2),
    'block.to_q.bias': wave([32]),
    'time_embedding.linear_1.weight': wave([32, 16], 0.3),
    'time_embedding.linear_1.bias': wave([32]),
  })
  weights = await openWeightFile('unet', path)
})
afterAll(async () => {
  await exact.dispose()
  await fast.dispose()
  await cache.dispose()
  await rm(folder, { recursive: true })
})

/** Convolutions of 3×3, of few channels and of each pixel, a linear layer without and one with what the time says. */
function graphOf(toleratesReducedPrecision: boolean): Graph {
  const graph = new Graph('unet', { toleratesReducedPrecision })
  const root = new Scope(graph)
  graph.output('map', root.child('conv').conv2d(graph.input('map_in', 'float32', [1, 16, 4, 4]), 16))
  graph.output('latents', root.child('post_quant_conv').conv2d(graph.inputs[0] as Value, 16, { kernel: 1 }))
  const wide = graph.input('wide', 'float32', [2, 64, 3, 5])
  graph.output('pixels', root.child('proj_in').conv2d(wide, 32, { kernel: 1 }))
  const rows = graph.input('rows', 'float32', [5, 16])
  graph.output('linear', root.child('block.to_q').linear(rows, 32))
  graph.output('time', root.child('time_embedding.linear_1').linear(rows, 32))
  return graph
}

const feeds = { map_in: wave([1, 16, 4, 4]), wide: wave([2, 64, 3, 5]), rows: wave([5, 16], 2) }

async function runOn(runtime: WorkerRuntime, graph: Graph) {
  const prepared = await cache.prepare(weights, await runtime.weightForm([graph]))
  const session = await runtime.createSession(graph, prepared)
  const results = await session.run(feeds)
  await session.release()
  return (name: string) => [...(results[name]?.data ?? [])].map(Number)
}

describe('linear layers of 8 bits', () => {
  test('differ a little from float32 ones; convolutions, time embeddings and other graphs do not at all', async () => {
    const reference = await runOn(exact, graphOf(true))
    const found = await runOn(fast, graphOf(true))
    expect(found('map')).toEqual(reference('map'))
    expect(found('time')).toEqual(reference('time'))
    expect(found('linear')).not.toEqual(reference('linear'))
    expect(found('latents')).toEqual(reference('latents'))
    expect(found('pixels')).not.toEqual(reference('pixels'))
    const furthest = (name: string) =>
      Math.max(...found(name).map((value, i) => Math.abs(value - (reference(name)[i] ?? 0))))
    // Half a step of the activations (range 4 over 255) and of the weights (0.2 over 127), on sums of sixteen products.
    expect(furthest('linear')).toBeLessThan(0.06)
    // The same of a range of 2, on sixty-four.
    expect(furthest('pixels')).toBeLessThan(0.06)
    expect(await runOn(fast, graphOf(false)).then((result) => result('linear'))).toEqual(reference('linear'))
  })

  test('are those whose weights nothing else reads', () => {
    const graph = graphOf(true)
    expect([...quantizableLinears(graph)]).toEqual(['proj_in.weight', 'block.to_q.weight'])
    const weight = graph.weight('block.to_q.weight', [32, 16])
    graph.output('other', mul(weight, weight))
    expect([...quantizableLinears(graph)]).toEqual(['proj_in.weight'])
  })

  test('stored for linear layers, they are refused to anything else', async () => {
    const keys = new Set(['block.to_q.weight'])
    const prepared = await cache.prepare(weights, { quantized: { keys, layout: '[in, out]' } })
    expect(() => prepared.locate('block.to_q.weight')).toThrow('block.to_q.weight is stored for linear layers only')
    const graph = new Graph('unet')
    const weight = graph.weight('block.to_q.weight', [32, 16])
    graph.output('y', mul(weight, weight))
    await expect(fast.createSession(graph, prepared)).rejects.toThrow(/reads weights that are stored for linear layers/)
  })
})
