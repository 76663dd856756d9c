import { afterAll, expect, test } from 'vitest'
import { NO_WEIGHTS } from '../checkpoint/prepared-weights.ts'
import { encodeModel } from '../formats/onnx.ts'
import { Graph } from '../graph/graph.ts'
import { multiHeadAttention } from '../graph/ops.ts'
import { DYNAMIC, elementCount, float32, type Shape } from '../tensor/tensor.ts'
import { plainAttention } from './plain-attention.ts'
import { WorkerRuntime } from './worker-runtime.ts'

const runtime = new WorkerRuntime({ threads: 1 })
afterAll(() => runtime.dispose())

const wave = (shape: Shape) =>
  float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898)),
  )

class PlainGraph extends Graph {
  override model(...locate: Parameters<Graph['model']>) {
    return plainAttention(super.model(...locate), (name) => this.shapeOf(name))
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

test('a graph without attention stays as it is', () => {
  const graph = new Graph('none')
  graph.output('y', graph.input('x', 'float32', [1]))
  const model = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  expect(plainAttention(model, () => [])).toBe(model)
  expect(encodeModel(model).length).toBeGreaterThan(0)
})
