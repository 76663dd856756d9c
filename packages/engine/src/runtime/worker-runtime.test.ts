import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWeightFile } from '../checkpoint/component-weights.ts'
import { WeightCache, type Weights } from '../checkpoint/prepared-weights.ts'
import { encodeModel } from '../formats/onnx.ts'
import { readOnnxFile } from '../formats/onnx-file.ts'
import { writeSafetensors } from '../formats/safetensors.ts'
import { Graph, type Value } from '../graph/graph.ts'
import { Scope } from '../graph/scope.ts'
import { float32ToFloat16 } from '../tensor/float16.ts'
import { DYNAMIC, float32, int64, tensor } from '../tensor/tensor.ts'
import { SessionLostError } from './session.ts'
import { WorkerRuntime } from './worker-runtime.ts'

let folder: string
let weights: Weights
const cache = new WeightCache()
const runtime = new WorkerRuntime({ threads: 1 })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runtime-'))
  // A hub snapshot's layout: the name is a link to a blob elsewhere.
  const blob = join(folder, 'blob')
  await writeSafetensors(blob, {
    'fc.weight': float32([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
    'fc.bias': tensor('float16', [2], float32ToFloat16(Float32Array.of(0.5, -0.5))),
  })
  await symlink(blob, join(folder, 'model.safetensors'))
  weights = await cache.prepare(await openWeightFile('tiny', join(folder, 'model.safetensors')))
})

afterAll(async () => {
  await runtime.dispose()
  await cache.dispose()
  await rm(folder, { recursive: true })
})

function linearGraph(): Graph {
  const graph = new Graph('tiny')
  const x = graph.input('x', 'float32', [1, 3])
  graph.output('y', new Scope(graph, 'fc').linear(x, 2))
  return graph
}

const x = float32([1, 3], Float32Array.of(1, 1, 2))

test('runs a graph on weights that lie behind a link, float32 in place and float16 converted', async () => {
  expect(weights.locate('fc.weight').path).toBe(join(await folderOf(), 'blob'))
  expect(weights.locate('fc.bias').path).not.toBe(join(await folderOf(), 'blob'))
  const session = await runtime.createSession(linearGraph(), weights)
  expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [1, 3] }])
  const [first, second] = await Promise.all([session.run({ x }), session.run({ x })])
  expect(first).toEqual({ y: float32([1, 2], Float32Array.of(9.5, 20.5)) })
  expect(second).toEqual(first)
  expect([...x.data]).toEqual([1, 1, 2])
  await session.release()
  await session.release()
  await expect(session.run({ x })).rejects.toThrow('the session of tiny was released')
})

async function folderOf(): Promise<string> {
  const { realpath } = await import('node:fs/promises')
  return realpath(folder)
}

describe('names the input that is', () => {
  test.each([
    ['missing', {}, 'the input x (float32 [1, 3]) is missing'],
    ['misshapen', { x: float32([3, 1]) }, 'the input x must be float32 [1, 3], got float32 [3, 1]'],
    ['mistyped', { x: int64([1, 3], [1, 2, 3]) }, 'the input x must be float32 [1, 3], got int64 [1, 3]'],
    ['unknown', { x, z: x }, 'there is no input z; the inputs are x'],
  ])('%s', async (_, feeds, message) => {
    const session = await runtime.createSession(linearGraph(), weights)
    await expect(session.run(feeds)).rejects.toThrow(message)
    await session.release()
  })
})

test('runs a ready-made model file at any of its sizes', async () => {
  const path = join(folder, 'double.onnx')
  const io = (name: string) => ({ name, dtype: 'float32' as const, shape: [1, DYNAMIC] })
  await writeFile(
    path,
    encodeModel({
      graphName: 'double',
      opsets: { '': 20 },
      nodes: [{ name: 'add', opType: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attributes: {} }],
      initializers: [],
      inputs: [io('x')],
      outputs: [io('y')],
    }),
  )
  const session = await runtime.openModel(await readOnnxFile(path))
  expect(await session.run({ x })).toEqual({ y: float32([1, 3], Float32Array.of(2, 2, 4)) })
  expect((await session.run({ x: float32([1, 2]) })).y?.shape).toEqual([1, 2])
  await expect(session.run({ x: float32([2, 3]) })).rejects.toThrow(
    'the input x must be float32 [1, any], got float32 [2, 3]',
  )
  await session.release()
  await rm(path)
  await expect(runtime.openModel({ ...(await readOnnxFile(await emptyModel())), path })).rejects.toThrow(
    /^cannot load empty: .*double\.onnx/,
  )
})

async function emptyModel(): Promise<string> {
  const path = join(folder, 'empty.onnx')
  const outputs = [{ name: 'y', dtype: 'float32' as const, shape: [] }]
  await writeFile(path, encodeModel({ graphName: '', opsets: {}, nodes: [], initializers: [], inputs: [], outputs }))
  return path
}

test('a graph that does not load is an error with its name, and the thread goes on', async () => {
  const graph = new Graph('broken')
  const input = graph.input('x', 'float32', [1, 3])
  graph.output('y', graph.node('', { opType: 'NoSuchOperator', inputs: [input], output: input }))
  await expect(runtime.createSession(graph, weights)).rejects.toThrow(/cannot load broken: .*NoSuchOperator/)
  const session = await runtime.createSession(linearGraph(), weights)
  expect((await session.run({ x })).y?.data[0]).toBe(9.5)
  await session.release()
})

test('sessions of a thread that ended are lost; the next session starts a new one', async () => {
  const other = new WorkerRuntime({ threads: 1 })
  const session = await other.createSession(linearGraph(), weights)
  await other.dispose()
  await expect(session.run({ x })).rejects.toBeInstanceOf(SessionLostError)
  const next = await other.createSession(linearGraph(), weights)
  expect((await next.run({ x })).y?.data[1]).toBe(20.5)
  await other.dispose()
})

test('a preview does not wait for the pictures that are drawn', async () => {
  const other = new WorkerRuntime({ threads: 1 })
  const side = 1024
  const heavy = new Graph('heavy')
  const matrix = heavy.input('x', 'float32', [side, side])
  const product = (a: Value) => heavy.node('', { opType: 'MatMul', inputs: [a, matrix], output: matrix })
  heavy.output('y', Array.from({ length: 20 }).reduce<Value>(product, matrix))
  const preview = new Graph('preview', { isPreview: true })
  const input = preview.input('x', 'float32', [1, 3])
  preview.output('y', preview.node('', { opType: 'Add', inputs: [input, input], output: input }))
  const sessions = await Promise.all([heavy, preview].map((graph) => other.createSession(graph, weights)))
  const done: string[] = []
  const runs = [float32([side, side]), x].map(async (feed, i) => {
    await sessions[i]?.run({ x: feed })
    done.push(i === 0 ? 'picture' : 'preview')
  })
  await Promise.all(runs)
  expect(done).toEqual(['preview', 'picture'])
  await other.dispose()
})

describe('lasting feeds', () => {
  const place = 'offsets'
  function sumGraph(): Graph {
    const graph = new Graph('sum')
    const inputs = ['x', 'offset'].map((name) => graph.input(name, 'float32', [1, 3]))
    graph.output('y', graph.node('', { opType: 'Add', inputs, output: inputs[0] as (typeof inputs)[0] }))
    return graph
  }

  function offsets(value: number) {
    const made: ArrayBuffer[] = []
    const make = async () => {
      const memory = new Float32Array(6).fill(value)
      made.push(memory.buffer)
      return { offset: float32([1, 3], memory.subarray(0, 3)), spare: float32([1, 3], memory.subarray(3)) }
    }
    return { made, lasting: { place, make } }
  }

  test('are made once, moved, and made again when others have been in their place', async () => {
    const [one, other] = [
      await runtime.createSession(sumGraph(), weights),
      await runtime.createSession(sumGraph(), weights),
    ]
    const [tens, hundreds] = [offsets(10), offsets(100)]
    const sum = async (session: typeof one, lasting?: (typeof tens)['lasting']) =>
      [...((await session.run({ x }, lasting)).y?.data ?? [])].join()
    expect(await sum(one, tens.lasting)).toBe('11,11,12')
    expect(await sum(one, tens.lasting)).toBe('11,11,12')
    expect(await sum(other, tens.lasting)).toBe('11,11,12')
    expect(tens.made.map(({ byteLength }) => byteLength)).toEqual([0])
    expect(await sum(one, hundreds.lasting)).toBe('101,101,102')
    const mixed = await Promise.all([sum(one, tens.lasting), sum(one, hundreds.lasting), sum(other, tens.lasting)])
    expect(mixed).toEqual(['11,11,12', '101,101,102', '11,11,12'])
    await expect(one.run({ x })).rejects.toThrow('the input offset (float32 [1, 3]) is missing')
    const wide = { place, make: async () => ({ offset: float32([1, 4]) }) }
    await expect(one.run({ x }, wide)).rejects.toThrow('the input offset must be float32 [1, 3], got float32 [1, 4]')
    expect(await sum(one, tens.lasting)).toBe('11,11,12')
  })

  test('are made again by a thread that takes the place of one that ended', async () => {
    const other = new WorkerRuntime({ threads: 1 })
    const { made, lasting } = offsets(10)
    await (await other.createSession(sumGraph(), weights)).run({ x }, lasting)
    await other.dispose()
    const { y } = await (await other.createSession(sumGraph(), weights)).run({ x }, lasting)
    expect([...(y?.data ?? [])]).toEqual([11, 11, 12])
    expect(made).toHaveLength(2)
    await other.dispose()
  })
})
