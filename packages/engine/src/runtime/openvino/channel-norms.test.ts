import { afterAll, expect, test } from 'vitest'
import { ModelFileRunner } from '../../../test/fixtures/model-file-runner.ts'
import { wave } from '../../../test/fixtures/wave.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import { Graph } from '../../graph/graph.ts'
import { silu } from '../../graph/ops.ts'
import { Scope } from '../../graph/scope.ts'
import { relativeError } from '../../tensor/relative-error.ts'
import { bytesOf } from '../../tensor/tensor.ts'
import { channelNorms } from './channel-norms.ts'

const CHANNELS = 12
const runner = new ModelFileRunner()
afterAll(() => runner.dispose())

/** Two norms one after another, of maps of this size, with their weights inside the model. */
function twoNorms(size: number): { readonly model: OnnxModel; readonly graph: Graph } {
  const graph = new Graph('norms')
  const x = graph.input('x', 'float32', [2, CHANNELS, size, size])
  const first = silu(new Scope(graph, 'first').groupNorm(x, 4, 1e-6))
  graph.output('y', new Scope(graph, 'second').groupNorm(first, 3, 1e-5))
  const model = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  const initializers = model.initializers.map((each) =>
    graph.weights.has(each.name) ? { ...each, data: bytesOf(wave([CHANNELS], 1 + each.name.length / 10).data) } : each,
  )
  return { graph, model: { ...model, initializers } }
}

// Of the larger map the graph takes sums line by line.
test.each([6, 320])('norms of maps of %i pixels a side are the same', async (size) => {
  const { model, graph } = twoNorms(size)
  const written = channelNorms(model, graph.groupNorms, (name) => graph.shapeOf(name))
  const values = wave([2, CHANNELS, size, size], 3)
  const x = { ...values, data: values.data.map((value) => value + 2) }
  const [expected, found] = [await runner.run(model, { x }), await runner.run(written, { x })]
  expect(found.shape).toEqual(expected.shape)
  // Sums of a hundred thousand float32 values, in another order.
  expect(relativeError(found, expected)).toBeLessThan(1e-4)
})

test('no map is read as rows of groups, and nothing is left of the norms that were', () => {
  const { model, graph } = twoNorms(6)
  const { nodes, initializers } = channelNorms(model, graph.groupNorms, (name) => graph.shapeOf(name))
  expect(nodes.filter(({ opType }) => opType === 'InstanceNormalization')).toEqual([])
  const reshaped = nodes.filter(({ opType }) => opType === 'Reshape').map(({ inputs }) => inputs[0])
  for (const name of reshaped) expect(['x', ...graph.results.keys()]).not.toContain(name)
  const read = new Set(nodes.flatMap(({ inputs }) => inputs))
  expect(initializers.filter(({ name }) => !read.has(name))).toEqual([])
})

test('a model without norms stays as it is', () => {
  const { model } = twoNorms(6)
  expect(channelNorms(model, new Map(), () => [])).toBe(model)
})
