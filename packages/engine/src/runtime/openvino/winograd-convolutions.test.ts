import { afterAll, expect, test } from 'vitest'
import { ModelFileRunner } from '../../../test/fixtures/model-file-runner.ts'
import { wave } from '../../../test/fixtures/wave.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import { Graph } from '../../graph/graph.ts'
import { Scope } from '../../graph/scope.ts'
import { relativeError } from '../../tensor/relative-error.ts'
import { bytesOf, type Shape } from '../../tensor/tensor.ts'
import { estimateOpenVinoCost } from '../session-cost.ts'
import { winogradConvolutions } from './winograd-convolutions.ts'

const [BATCH, CHANNELS, OUT] = [2, 320, 160]
const runner = new ModelFileRunner()
afterAll(() => runner.dispose())

interface Case {
  readonly graph: Graph
  readonly model: OnnxModel
}

/** A convolution of maps of this size, its weights inside the model. */
function convolution(
  size: readonly [number, number],
  options: { channels?: number; kernel?: 1 | 3; stride?: 1 | 2 } = {},
): Case {
  const { channels = CHANNELS, kernel = 3, stride = 1 } = options
  const graph = new Graph('maps')
  const x = graph.input('x', 'float32', [BATCH, channels, ...size])
  graph.output('y', new Scope(graph, 'conv').conv2d(x, OUT, { kernel, stride }))
  const model = graph.model(() => ({ location: '', offset: 0, length: 0 }))
  const initializers = model.initializers.map((each) =>
    graph.weights.has(each.name) ? { ...each, data: bytesOf(wave(each.shape, 0.1).data) } : each,
  )
  return { graph, model: { ...model, initializers } }
}

function winograd({ graph, model }: Case) {
  return winogradConvolutions(
    model,
    (name) => graph.shapeOf(name),
    (name) => graph.weights.get(name)?.shape,
  )
}

test('gives what the convolution gives, at the edges and in every map of a batch', async () => {
  const original = convolution([32, 34])
  const { model } = winograd(original)
  const x = wave([BATCH, CHANNELS, 32, 34])
  const [expected, found] = [await runner.run(original.model, { x }), await runner.run(model, { x })]
  expect(found.shape).toEqual(expected.shape)
  expect(relativeError(found, expected)).toBeLessThan(1e-5)
})

test('takes 16 products for four results in place of 36', () => {
  const original = convolution([32, 32])
  const { model, made } = winograd(original)
  const mixing = model.nodes.filter(({ opType, attributes }) => opType === 'Conv' && attributes.group === undefined)
  expect(mixing.map(({ attributes }) => attributes.kernel_shape)).toEqual(Array.from({ length: 16 }, () => [1, 1]))
  expect([...made]).toEqual([['conv.weight', 16 * CHANNELS * OUT]])
})

test.each<[string, Case]>([
  ['maps with few values', convolution([16, 16])],
  ['few channels', convolution([32, 32], { channels: 64 })],
  ['an odd side', convolution([33, 32])],
  ['a stride of two', convolution([64, 64], { stride: 2 })],
  ['1×1', convolution([32, 32], { kernel: 1 })],
])('%s: the convolution stays as it is', (_, original) => {
  expect(winograd(original).model).toBe(original.model)
})

test('the larger filters are in the estimate of a session’s memory', () => {
  const { graph } = convolution([32, 32])
  const bytes = (convolutions: 'direct' | 'winograd') =>
    estimateOpenVinoCost(graph, { precision: 'bf16', convolutions, linears: 'plain' }).workBytes
  const shape: Shape = [OUT, CHANNELS]
  expect(bytes('winograd') - bytes('direct')).toBe(2 * 7 * shape.reduce((product, each) => product * each))
})
