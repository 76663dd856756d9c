import { afterAll, expect, test } from 'vitest'
import { ModelFileRunner } from '../../../test/fixtures/model-file-runner.ts'
import { wave } from '../../../test/fixtures/wave.ts'
import type { OnnxModel } from '../../formats/onnx.ts'
import { DYNAMIC, type Shape } from '../../tensor/tensor.ts'
import { unfoldConvolutions } from './unfolded-convolutions.ts'

const runner = new ModelFileRunner()
afterAll(() => runner.dispose())
interface Case {
  readonly kernel: number
  readonly stride: number
  readonly padding: number
  /** Of the filter's sides, the one that is open. */
  readonly open: 'in' | 'out'
}

const RANK = 3
const CHANNELS = 5

/** One convolution whose filter is an input of open rank. */
function modelOf(
  { kernel, stride, padding, open }: Case,
  size: number,
): { model: OnnxModel; shapes: Map<string, Shape> } {
  const outSize = Math.floor((6 + 2 * padding - kernel) / stride) + 1
  const [out, inputs] = open === 'out' ? [DYNAMIC, CHANNELS] : [CHANNELS, DYNAMIC]
  const info = (name: string, shape: Shape) => ({ name, dtype: 'float32' as const, shape })
  const x = info('x', [2, inputs, 6, size])
  const filter = info('filter', [out, inputs, kernel, kernel])
  const y = info('y', [2, out, outSize, outSize])
  const model: OnnxModel = {
    graphName: 'convolution',
    opsets: { '': 20 },
    nodes: [
      {
        name: 'conv',
        opType: 'Conv',
        domain: '',
        inputs: ['x', 'filter'],
        outputs: ['y'],
        attributes: {
          kernel_shape: [kernel, kernel],
          strides: [stride, stride],
          pads: [padding, padding, padding, padding],
        },
      },
    ],
    initializers: [],
    inputs: [x, filter],
    outputs: [y],
  }
  return { model, shapes: new Map([x, filter, y].map(({ name, shape }) => [name, shape])) }
}

test.each<Case>([
  { kernel: 3, stride: 1, padding: 1, open: 'out' },
  { kernel: 3, stride: 2, padding: 1, open: 'out' },
  { kernel: 3, stride: 2, padding: 0, open: 'out' },
  { kernel: 1, stride: 1, padding: 0, open: 'out' },
  { kernel: 1, stride: 1, padding: 0, open: 'in' },
])('kernel $kernel, stride $stride, padding $padding, open $open', async (each) => {
  const { model, shapes } = modelOf(each, 6)
  const [out, inputs] = each.open === 'out' ? [RANK, CHANNELS] : [CHANNELS, RANK]
  const feeds = { x: wave([2, inputs, 6, 6]), filter: wave([out, inputs, each.kernel, each.kernel]) }
  const results = []
  for (const [i, form] of [model, unfoldConvolutions(model, (name) => shapes.get(name) ?? [])].entries()) {
    expect(form.nodes.some(({ opType }) => opType === 'Conv')).toBe(i === 0)
    results.push(await runner.run(form, feeds))
  }
  const [expected, found] = results
  expect(found?.shape).toEqual(expected?.shape)
  expect(found?.data.length).toBeGreaterThan(20)
  for (const [i, value] of [...(found?.data ?? [])].entries()) expect(value).toBeCloseTo(Number(expected?.data[i]), 5)
})

test('a model without open filters stays as it is', () => {
  const { model } = modelOf({ kernel: 1, stride: 1, padding: 0, open: 'out' }, 6)
  const stored = { ...model, initializers: [{ ...wave([1]), name: 'filter', data: new Uint8Array(4) }] }
  expect(unfoldConvolutions(stored, () => [])).toBe(stored)
})
