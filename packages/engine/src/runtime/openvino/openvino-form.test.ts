import { expect, test } from 'vitest'
import { Graph, type Value } from '../../graph/graph.ts'
import { mul, split } from '../../graph/ops.ts'
import { Scope } from '../../graph/scope.ts'
import { openVinoForm } from './openvino-form.ts'

test('each part of a gated layer in 8 bits reads its own rows and their scales', () => {
  const graph = new Graph('rows')
  const features = new Scope(graph, 'proj').linear(graph.input('x', 'float32', [1, 5, 8]), 12, { bias: false })
  const [hidden, gate] = split(features, 2, 2) as [Value, Value]
  graph.output('y', mul(hidden, gate))
  // int8 [12, 8], and float32 [12] before it.
  const written = graph.model(() => ({ location: 'weights', offset: 48, length: 96 }))
  const { model } = openVinoForm(graph, written, {
    convolutions: 'direct',
    scalesOf: (key) => (key === 'proj.weight' ? { location: 'weights', offset: 0, length: 48 } : undefined),
  })
  const stored = model.initializers.filter(({ name }) => name.startsWith('proj.weight'))
  expect(stored.map(({ name, dtype, shape, data }) => [name, dtype, shape, data])).toEqual([
    ['proj.weight:0', 'int8', [6, 8], { location: 'weights', offset: 48, length: 48 }],
    ['proj.weight:1', 'int8', [6, 8], { location: 'weights', offset: 96, length: 48 }],
    ['proj.weight:0:scale', 'float32', [6, 1], { location: 'weights', offset: 0, length: 24 }],
    ['proj.weight:1:scale', 'float32', [6, 1], { location: 'weights', offset: 24, length: 24 }],
  ])
})
