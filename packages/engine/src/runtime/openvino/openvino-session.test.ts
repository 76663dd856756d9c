import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { wave } from '../../../test/fixtures/wave.ts'
import { type ComponentWeights, openWeightFile } from '../../checkpoint/component-weights.ts'
import { WeightCache } from '../../checkpoint/prepared-weights.ts'
import { writeSafetensors } from '../../formats/safetensors.ts'
import { Graph, type Value } from '../../graph/graph.ts'
import { mul, silu, split, upsampleNearest } from '../../graph/ops.ts'
import { Scope } from '../../graph/scope.ts'
import { relativeError } from '../../tensor/relative-error.ts'
import { type FloatTensor, float32 } from '../../tensor/tensor.ts'
import { OPENVINO_ARITHMETIC, type OpenVinoArithmetic } from '../fast-form.ts'
import { WorkerRuntime } from '../worker-runtime.ts'
import { writeLinkedModel } from './linked-model.ts'

/** Channels from which convolutions can be Winograd's. */
const WIDE = 256

let folder: string
let weights: ComponentWeights
const cache = new WeightCache()
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openvino-'))
  const path = join(folder, 'model.safetensors')
  await writeSafetensors(path, {
    'conv.weight': wave([64, 64, 3, 3], 0.05),
    'conv.bias': wave([64]),
    'wide.weight': wave([WIDE, WIDE, 3, 3], 0.03),
    'wide.bias': wave([WIDE]),
    'linear.weight': wave([4 * WIDE, WIDE], 0.1),
    'linear.bias': wave([4 * WIDE]),
  })
  weights = await openWeightFile('unet', path)
})
afterAll(async () => {
  await cache.dispose()
  await rm(folder, { recursive: true })
})

/** Convolutions one after another, each as large as the picture. */
function graphOf(layers: number, size: number): Graph {
  const graph = new Graph('unet', { toleratesReducedPrecision: true })
  let x = graph.input('x', 'float32', [1, 64, size, size])
  for (let i = 0; i < layers; i++) x = silu(new Scope(graph, 'conv').conv2d(x, 64))
  graph.output('y', x)
  return graph
}

/** Two convolutions of maps as they are and one of doubled maps, and a gated linear layer. */
function wideGraph(): Graph {
  const graph = new Graph('vae', { toleratesReducedPrecision: true })
  const root = new Scope(graph)
  let x = graph.input('x', 'float32', [1, WIDE, 32, 32])
  for (let i = 0; i < 2; i++) x = silu(root.child('wide').conv2d(x, WIDE))
  graph.output('y', root.child('wide').conv2d(upsampleNearest(x, 64, 64), WIDE))
  const gated = root.child('linear').linear(graph.input('tokens', 'float32', [1, 64, WIDE]), 4 * WIDE)
  const [hidden, gate] = split(gated, 2, 2) as [Value, Value]
  graph.output('rows', mul(hidden, gate))
  return graph
}

const EXACT: OpenVinoArithmetic = { precision: 'f32', convolutions: 'direct', linears: 'plain' }

function openVino(libraries: string, arithmetic = EXACT): WorkerRuntime {
  return new WorkerRuntime({
    threads: 1,
    fast: { kind: 'openvino', ...arithmetic, folders: { libraries, work: join(folder, 'work') } },
  })
}

test('libraries that are not there are an error of one sentence, and the thread goes on', async () => {
  const runtime = openVino(join(folder, 'nowhere'))
  const prepared = await cache.prepare(weights, await runtime.weightForm([graphOf(1, 8)]))
  await expect(runtime.createSession(graphOf(1, 8), prepared)).rejects.toThrow(
    /^cannot load unet: (.*nowhere lacks lib.*|there is no OpenVINO for [^.]*)$/,
  )
  const plain = new Graph('other')
  plain.output('y', silu(plain.input('x', 'float32', [1])))
  const session = await runtime.createSession(plain, prepared)
  expect((await session.run({ x: float32([1]) })).y?.data[0]).toBe(0)
  await runtime.dispose()
})

test('weights in the blocks of onnxruntime are refused', async () => {
  const runtime = openVino(folder)
  const blocked = await cache.prepare(weights, { convolutionBlock: 16 })
  await expect(runtime.createSession(graphOf(1, 8), blocked)).rejects.toThrow(
    'are in blocks of 16, OpenVINO has its own',
  )
})

test('linear layers in 8 bits are stored as OpenVINO reads them, in one file, where all that reads the weights runs there', async () => {
  const inInt8 = openVino(folder, { ...EXACT, linears: 'int8' })
  const form = { quantized: { keys: new Set(['linear.weight']), layout: '[out, in]' }, isWhole: true }
  expect(await inInt8.weightForm([wideGraph()])).toEqual(form)
  expect(await inInt8.weightForm([wideGraph(), new Graph('exact')])).toEqual({})
  expect(await openVino(folder).weightForm([wideGraph()])).toEqual({})
})

const libraries = process.env.DARKROOM_TEST_OPENVINO
describe.skipIf(libraries === undefined)('with the libraries that DARKROOM_TEST_OPENVINO names', () => {
  const exact = new WorkerRuntime({ threads: 1 })
  afterAll(() => exact.dispose())

  test.each(OPENVINO_ARITHMETIC)(
    'computes in $precision, $convolutions, $linears, what onnxruntime computes',
    async (arithmetic) => {
      const runtime = openVino(String(libraries), arithmetic)
      const results = []
      for (const each of [exact, runtime]) {
        const prepared = await cache.prepare(weights, await each.weightForm([wideGraph()]))
        const session = await each.createSession(wideGraph(), prepared)
        results.push(
          (await session.run({ x: wave([1, WIDE, 32, 32]), tokens: wave([1, 64, WIDE]) })) as Record<
            'y' | 'rows',
            FloatTensor
          >,
        )
        await session.release()
      }
      const [expected, found] = results as [(typeof results)[number], (typeof results)[number]]
      const lossOfPrecision = arithmetic.precision === 'f32' ? 1e-5 : 2e-2
      expect(relativeError(found.y, expected.y)).toBeLessThan(lossOfPrecision)
      const lossOfRows = relativeError(found.rows, expected.rows)
      expect(lossOfRows).toBeLessThan(arithmetic.linears === 'plain' ? lossOfPrecision : 2e-2)
      // What 8 bits lose shows.
      if (arithmetic.linears === 'int8') expect(lossOfRows).toBeGreaterThan(1e-4)
      await runtime.dispose()
    },
  )

  test('what was compiled is read again by the next process’s first session, and computes the same', async () => {
    const graph = graphOf(3, 24)
    const [results, written]: [unknown[], number[]] = [[], []]
    for (let round = 0; round < 2; round++) {
      const runtime = openVino(String(libraries))
      const prepared = await cache.prepare(weights, await runtime.weightForm([graph]))
      const session = await runtime.createSession(graph, prepared)
      results.push((await session.run({ x: wave([1, 64, 24, 24]) })).y)
      await runtime.dispose()
      const { path } = await writeLinkedModel(graph, prepared, {
        folder: join(folder, 'work'),
        convolutions: 'direct',
      })
      const blobs = (await readdir(dirname(path))).filter((name) => name.endsWith('.blob'))
      expect(blobs).toHaveLength(1)
      written.push((await stat(join(dirname(path), String(blobs[0])))).mtimeMs)
    }
    expect(results[1]).toEqual(results[0])
    // OpenVINO writes again what it cannot read.
    expect(written[1]).toBe(written[0])
  })

  test('a run is ended in its middle, and before its turn comes; the next one runs', async () => {
    const runtime = openVino(String(libraries))
    const graph = graphOf(60, 160)
    const session = await runtime.createSession(graph, await cache.prepare(weights, await runtime.weightForm([graph])))
    const feeds = { x: wave([1, 64, 160, 160]) }
    const controller = new AbortController()
    const [running, waiting] = [0, 1].map(() => session.run(feeds, undefined, controller.signal))
    setTimeout(() => controller.abort(new Error('enough')), 100)
    await expect(running).rejects.toThrow('enough')
    await expect(waiting).rejects.toThrow('enough')
    expect((await session.run(feeds)).y?.shape).toEqual([1, 64, 160, 160])
    await runtime.dispose()
  })
})
