import { afterAll, expect, test } from 'vitest'
import { wave } from '../../test/fixtures/wave.ts'
import { NO_WEIGHTS } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { add, gather, mul, reduceSumSquare, silu } from '../graph/ops.ts'
import { float32, int64 } from '../tensor/tensor.ts'
import { float16Form } from './float16-form.ts'
import { WorkerRuntime } from './worker-runtime.ts'

const runtime = new WorkerRuntime({ threads: 1, fast: { kind: 'float16' } })
afterAll(() => runtime.dispose())

const modelOf = (graph: Graph, computes: 'float16' | 'float32' = 'float16') =>
  float16Form(
    graph.model(() => ({ location: 'weights', offset: 0, length: 8 })),
    computes,
  )

test('floats are float16 inside, with one cast each way; what is marked, inputs and results are float32', () => {
  const graph = new Graph('form', { fitsFloat16: true })
  const x = graph.input('x', 'float32', [4])
  const [once, twice] = [silu(x), silu(x)]
  graph.output(
    'y',
    add(
      once,
      graph.keepingFloat32(() => mul(twice, graph.weight('w', [4]))),
    ),
  )
  const { nodes, inputs } = modelOf(graph)
  expect(inputs.map(({ dtype }) => dtype)).toEqual(['float32'])
  expect(nodes.map(({ opType, inputs }) => `${opType}(${inputs})`)).toEqual([
    'Cast(x)',
    'QuickGelu(x/float16)',
    'QuickGelu(x/float16)',
    'Cast(QuickGelu_1)',
    'Mul(QuickGelu_1/float32,w)',
    'Cast(Mul)',
    'Add(QuickGelu,Mul/float16)',
    'Cast(Add)',
    'Identity(Add/float32)',
  ])
})

test('a graph that leaves float16’s range is float32, whatever its weights are', () => {
  const graph = new Graph('form')
  graph.output('y', mul(graph.input('x', 'float32', [4]), graph.weight('w', [4])))
  const model = graph.model(() => ({ location: 'weights', offset: 0, length: 8 }))
  const halves = { ...model, initializers: model.initializers.map((each) => ({ ...each, dtype: 'float16' as const })) }
  const { nodes, initializers } = float16Form(halves, 'float32')
  expect(nodes.map(({ opType, inputs }) => `${opType}(${inputs})`)).toEqual([
    'Cast(w)',
    'Mul(x,w/float32)',
    'Identity(Mul)',
  ])
  expect(initializers.map(({ name, dtype }) => [name, dtype])).toEqual([['w', 'float16']])
})

test('literals become float16 once, within its range; indices stay what they are', async () => {
  const graph = new Graph('form', { fitsFloat16: true })
  const mask = graph.constant(float32([3], Float32Array.of(-3.4e38, 0.1, 1e6)))
  const rows = add(graph.input('i', 'int64', [2]), graph.constant(int64([2], [0, 1])))
  graph.output('y', gather(mask, rows))
  expect(
    modelOf(graph)
      .initializers.map(({ dtype }) => dtype)
      .sort(),
  ).toEqual(['float16', 'int64'])
  const session = await runtime.createSession(graph, NO_WEIGHTS)
  const { y } = await session.run({ i: int64([2], [0, 1]) })
  expect([...(y?.data ?? [])]).toEqual([-65504, 65504])
  await session.release()
})

test('sums of squares beyond float16’s range are right', async () => {
  const graph = new Graph('sums', { fitsFloat16: true })
  const squares = graph.keepingFloat32(() =>
    mul(
      reduceSumSquare(graph.input('x', 'float32', [1, 1000]), 1),
      graph.constant(float32([1], Float32Array.of(1e-3))),
    ),
  )
  graph.output('y', squares)
  const x = wave([1, 1000], 100)
  const session = await runtime.createSession(graph, NO_WEIGHTS)
  const { y } = await session.run({ x })
  const sum = x.data.reduce((total, value) => total + value * value, 0)
  expect(sum).toBeGreaterThan(65504)
  expect(Number(y?.data[0]) / (sum * 1e-3)).toBeCloseTo(1, 5)
  await session.release()
})
