import { afterAll, expect, test } from 'vitest'
import { ModelFileRunner } from '../../../test/fixtures/model-file-runner.ts'
import { wave } from '../../../test/fixtures/wave.ts'
import { quantizeMatrix } from '../../checkpoint/quantized-matrix.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import { Graph } from '../../graph/graph.ts'
import { Scope } from '../../graph/scope.ts'
import { relativeError } from '../../tensor/relative-error.ts'
import { bytesOf, float32 } from '../../tensor/tensor.ts'
import { estimateOpenVinoCost } from '../session-cost.ts'
import { int8Keys, int8Linears } from './int8-linears.ts'

const [ROWS, INPUTS, OUT] = [5, 96, 40]
const runner = new ModelFileRunner()
afterAll(() => runner.dispose())

/** A linear layer of what the time says and one of a picture, after a convolution of some width. */
function networkOf(channels = 8): Graph {
  const graph = new Graph('unet')
  const root = new Scope(graph)
  const rows = graph.input('x', 'float32', [ROWS, INPUTS])
  graph.output('time', root.child('time_embedding.linear_1').linear(rows, OUT))
  graph.output('y', root.child('to_q').linear(rows, OUT))
  graph.output('map', root.child('conv').conv2d(graph.input('map_in', 'float32', [1, channels, 4, 4]), channels))
  return graph
}

test('linear layers are in 8 bits, but those of the time', () => {
  expect([...int8Keys(networkOf())]).toEqual(['to_q.weight'])
})

test('none is where nearly all of a network is convolutions', () => {
  expect(int8Keys(networkOf(128)).size).toBe(0)
})

test('the smaller weights are in the estimate of a session’s memory', () => {
  const bytes = (linears: 'plain' | 'int8') =>
    estimateOpenVinoCost(networkOf(), { precision: 'bf16', convolutions: 'direct', linears }).workBytes
  expect(bytes('plain') - bytes('int8')).toBe(OUT * INPUTS)
})

const weight = wave([OUT, INPUTS], 0.3)
// An output of zeros has no scale.
weight.data.fill(0, INPUTS, 2 * INPUTS)
const bias = wave([OUT], 2)
const { values, scales } = quantizeMatrix(weight.data as Float32Array, OUT, INPUTS, '[out, in]')

/** A linear layer with its weights inside, those of 8 bits. */
function linear(): OnnxModel {
  const graph = new Graph('rows')
  graph.output('y', new Scope(graph, 'to_q').linear(graph.input('x', 'float32', [ROWS, INPUTS]), OUT))
  const model = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  const data = new Map([
    ['to_q.weight', bytesOf(values)],
    ['to_q.bias', bytesOf(bias.data)],
  ])
  const initializers = model.initializers.map((each) => ({ ...each, data: data.get(each.name) ?? each.data }))
  return { ...model, initializers }
}

test('multiplies by integers, with a scale for each output', async () => {
  const model = int8Linears(linear(), (name) => (name === 'to_q.weight' ? bytesOf(scales) : undefined))
  const x = wave([ROWS, INPUTS])
  const expected = float32([ROWS, OUT])
  for (let row = 0; row < ROWS; row++) {
    for (let out = 0; out < OUT; out++) {
      let sum = 0
      for (let i = 0; i < INPUTS; i++) sum += Number(x.data[row * INPUTS + i]) * Number(values[out * INPUTS + i])
      expected.data[row * OUT + out] = sum * Number(scales[out]) + Number(bias.data[out])
    }
  }
  expect(relativeError(await runner.run(model, { x }), expected)).toBeLessThan(1e-5)
})

test('a model without such weights stays as it is; other readers of them are refused', () => {
  const model = linear()
  expect(int8Linears(model, () => undefined)).toBe(model)
  const transposed = { ...model, nodes: model.nodes.map((node) => ({ ...node, opType: 'MatMul' })) }
  expect(() => int8Linears(transposed, () => bytesOf(scales))).toThrow('stored for linear layers only')
})
