import { afterAll, expect, test } from 'vitest'
import { wave } from '../../test/fixtures/wave.ts'
import { NO_WEIGHTS } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { multiHeadAttention, reshape } from '../graph/ops.ts'
import { DYNAMIC, float32 } from '../tensor/tensor.ts'
import { webGpuForm } from './webgpu-form.ts'
import { WorkerRuntime } from './worker-runtime.ts'

const runtime = new WorkerRuntime({ threads: 1 })
afterAll(() => runtime.dispose())

class PlainGraph extends Graph {
  override model(...locate: Parameters<Graph['model']>) {
    return webGpuForm(super.model(...locate), (name) => this.shapeOf(name))
  }
}

function attentionGraph(graph: Graph, hasBias: boolean): Graph {
  const query = graph.input('query', 'float32', [2, 5, 12])
  const [key, value] = ['key', 'value'].map((name) => graph.input(name, 'float32', [2, DYNAMIC, 12])) as [
    ReturnType<Graph['input']>,
    ReturnType<Graph['input']>,
  ]
  const bias = hasBias ? graph.constant(wave([1, 1, 5, 7])) : undefined
  graph.output('y', multiHeadAttention(query, key, value, 3, bias))
  return graph
}

test.each([false, true])('products and a softmax are the fused attention (bias: %s)', async (hasBias) => {
  const results = []
  for (const graph of [new Graph('fused'), new PlainGraph('plain')]) {
    const session = await runtime.createSession(attentionGraph(graph, hasBias), NO_WEIGHTS)
    const feeds = { query: wave([2, 5, 12]), key: wave([2, 7, 12]), value: wave([2, 7, 12]) }
    results.push(Array.from((await session.run(feeds)).y?.data ?? [], Number))
    await session.release()
  }
  const [fused = [], plain = []] = results
  expect(plain).toHaveLength(2 * 5 * 12)
  for (const [i, value] of plain.entries()) expect(value).toBeCloseTo(fused[i] ?? Number.NaN, 5)
})

/** A convolution of six channels and a group norm of rows that vary little. */
function mapGraph(graph: Graph): Graph {
  const x = graph.input('x', 'float32', [2, 6, 8, 8])
  const inputs = [x, graph.constant(wave([8, 6, 3, 3])), graph.constant(wave([8]))]
  const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }
  graph.output(
    'conv',
    graph.node('conv', { opType: 'Conv', inputs, output: { dtype: 'float32', shape: [2, 8, 4, 4] }, attributes }),
  )
  const [ones, zeros] = [graph.constant(float32([3], Float32Array.of(1, 1, 1))), graph.constant(float32([3]))]
  const rows = reshape(x, [2, 3, -1])
  const norm = {
    opType: 'InstanceNormalization',
    inputs: [rows, ones, zeros],
    attributes: { epsilon: { float: 1e-4 } },
  }
  graph.output('norm', graph.node('norm', { ...norm, output: rows }))
  return graph
}

test('padded convolutions and plainly taken means are what they stand for', async () => {
  const results = []
  for (const graph of [new Graph('as it is'), new PlainGraph('plain')]) {
    const session = await runtime.createSession(mapGraph(graph), NO_WEIGHTS)
    results.push(await session.run({ x: wave([2, 6, 8, 8], 0.01) }))
    await session.release()
  }
  const [expected, found] = results
  for (const name of ['conv', 'norm']) {
    const values = Array.from(found?.[name]?.data ?? [], Number)
    expect(values.length).toBeGreaterThan(100)
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(Number(expected?.[name]?.data[i]), 4)
  }
})
