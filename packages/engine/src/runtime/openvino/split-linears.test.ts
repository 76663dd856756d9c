import { afterAll, expect, test } from 'vitest'
import { ModelFileRunner } from '../../../test/fixtures/model-file-runner.ts'
import { wave } from '../../../test/fixtures/wave.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import { Graph, type Value } from '../../graph/graph.ts'
import { add, gelu, mul, split } from '../../graph/ops.ts'
import { Scope } from '../../graph/scope.ts'
import { relativeError } from '../../tensor/relative-error.ts'
import { bytesOf } from '../../tensor/tensor.ts'
import { splitLinears } from './split-linears.ts'

const SHAPE = [2, 5, 8]
const runner = new ModelFileRunner()
afterAll(() => runner.dispose())

/** A gated layer; `use` makes the result of the features and both parts. */
function gated(use: (features: Value, hidden: Value, gate: Value) => Value) {
  const graph = new Graph('rows')
  const features = new Scope(graph, 'proj').linear(graph.input('x', 'float32', SHAPE), 12)
  const [hidden, gate] = split(features, 2, 2) as [Value, Value]
  graph.output('y', use(features, hidden, gate))
  return { graph, model: graph.model(() => ({ location: 'weights', offset: 64, length: 4 * 12 * 8 })) }
}

/** The model with its weights inside. */
function withWeights(graph: Graph, model: OnnxModel): OnnxModel {
  const initializers = model.initializers.map((each) =>
    graph.weights.has(each.name) ? { ...each, data: bytesOf(wave(each.shape).data) } : each,
  )
  return { ...model, initializers }
}

test('gives what the layer and its parts gave, without cutting', async () => {
  const { graph, model } = gated((_, hidden, gate) => mul(hidden, gelu(gate)))
  const whole = withWeights(graph, model)
  const { model: inParts, parts } = splitLinears(whole, (name) => graph.shapeOf(name))
  expect(inParts.nodes.map(({ opType }) => opType)).not.toContain('Split')
  const x = wave(SHAPE)
  expect(relativeError(await runner.run(inParts, { x }), await runner.run(whole, { x }))).toBeLessThan(1e-6)
  expect([...parts]).toEqual([
    ['proj.weight:0', { from: 'proj.weight', firstRow: 0, shape: [6, 8] }],
    ['proj.weight:1', { from: 'proj.weight', firstRow: 6, shape: [6, 8] }],
    ['proj.bias:0', { from: 'proj.bias', firstRow: 0, shape: [6] }],
    ['proj.bias:1', { from: 'proj.bias', firstRow: 6, shape: [6] }],
  ])
})

test('parts of a weight are read from where it lies', () => {
  const { graph, model } = gated((_, hidden, gate) => mul(hidden, gate))
  const { initializers } = splitLinears(model, (name) => graph.shapeOf(name)).model
  const places = initializers.filter(({ name }) => name.startsWith('proj.weight')).map(({ data }) => data)
  expect(places).toEqual([
    { location: 'weights', offset: 64, length: 192 },
    { location: 'weights', offset: 256, length: 192 },
  ])
})

test('a layer whose features are read whole as well stays as it is', () => {
  const { graph, model } = gated((features, hidden) => add(split(features, 2, 2)[1] as Value, hidden))
  expect(splitLinears(model, (name) => graph.shapeOf(name)).model).toBe(model)
})
