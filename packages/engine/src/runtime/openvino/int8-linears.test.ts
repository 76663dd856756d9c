import { afterAll, expect, test } from 'vitest'
import { ModelFileRunner } from '../../../test/fixtures/model-file-runner.ts'
import { wave } from '../../../test/fixtures/wave.ts'
import { quantizeMatrix } from '../../checkpoint/quantized-matrix.ts'
import { Graph } from '../../graph/graph.ts'
import { Scope } from '../../graph/scope.ts'
import { relativeError } from '../../tensor/relative-error.ts'
import { bytesOf, float32 } from '../../tensor/tensor.ts'
import { quantizableLinears } from '../quantized-linears.ts'
import { estimateOpenVinoCost } from '../session-cost.ts'
import { int8Linears } from './int8-linears.ts'

const [ROWS, INPUTS, OUT] = [5, 96, 40]
const runner = new ModelFileRunner()
afterAll(() => runner.dispose())

const weight = wave([OUT, INPUTS], 0.3)
// A row of zeros has no scale of its own.
weight.data.fill(0, INPUTS, 2 * INPUTS)
const bias = wave([OUT], 2)

/** A linear layer, its weights inside the model. */
function linear(name: string) {
  const graph = new Graph('rows')
  graph.output('y', new Scope(graph, name).linear(graph.input('x', 'float32', [ROWS, INPUTS]), OUT))
  const model = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  const tensors = new Map([
    [`${name}.weight`, weight],
    [`${name}.bias`, bias],
  ])
  const initializers = model.initializers.map((each) => {
    const tensor = tensors.get(each.name)
    return tensor ? { ...each, data: bytesOf(tensor.data) } : each
  })
  return { graph, model: { ...model, initializers } }
}

function inInt8({ graph, model }: ReturnType<typeof linear>) {
  const keys = quantizableLinears(graph)
  return int8Linears(
    model,
    (name) => graph.weights.get(name)?.shape,
    (name) => keys.has(name),
  )
}

test('multiplies by the weights in 8 bits, with a scale for each output', async () => {
  const { model, made } = inInt8(linear('to_q'))
  const x = wave([ROWS, INPUTS])
  const { values, scales } = quantizeMatrix(weight.data as Float32Array, OUT, INPUTS)
  const expected = float32([ROWS, OUT])
  for (let row = 0; row < ROWS; row++) {
    for (let out = 0; out < OUT; out++) {
      let sum = 0
      for (let i = 0; i < INPUTS; i++) sum += Number(x.data[row * INPUTS + i]) * Number(values[i * OUT + out])
      expected.data[row * OUT + out] = sum * Number(scales[out]) + Number(bias.data[out])
    }
  }
  expect(relativeError(await runner.run(model, { x }), expected)).toBeLessThan(1e-5)
  expect([...made]).toEqual([['to_q.weight', OUT * INPUTS + 4 * OUT]])
})

test('layers of the time stay as they are', () => {
  const original = linear('time_embedding.linear_1')
  expect(inInt8(original).model).toBe(original.model)
})

test('the smaller weights are in the estimate of a session’s memory', () => {
  const { graph } = linear('to_q')
  const bytes = (linears: 'plain' | 'int8') =>
    estimateOpenVinoCost(graph, { precision: 'bf16', convolutions: 'direct', linears }).workBytes
  expect(bytes('plain') - bytes('int8')).toBe(OUT * INPUTS - 4 * OUT)
})
