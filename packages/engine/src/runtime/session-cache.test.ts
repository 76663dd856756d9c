import { describe, expect, test } from 'vitest'
import { NO_WEIGHTS, type Weights } from '../checkpoint/prepared-weights.ts'
import type { OnnxFile } from '../formats/onnx-file.ts'
import { Graph } from '../graph/graph.ts'
import { silu } from '../graph/ops.ts'
import { float32 } from '../tensor/tensor.ts'
import { infoOf, type NetworkInfo, OutOfMemoryError, type Runtime, type Session } from './session.ts'
import { SessionCache } from './session-cache.ts'
import { estimateCost } from './session-cost.ts'

/** Stands in for onnxruntime: says what is loaded, and runs until it is told to finish. */
class CountingRuntime implements Runtime {
  readonly log: string[] = []
  readonly #running: (() => void)[] = []
  failure: Error | undefined
  /** What runs fail with while more than one session is loaded. */
  crowded: Error | undefined

  async createSession(graph: NetworkInfo): Promise<Session> {
    this.log.push(`load ${graph.name}`)
    if (this.failure) throw this.failure
    return {
      inputs: graph.inputs.map(infoOf),
      outputs: graph.outputs.map(infoOf),
      run: async () => {
        this.log.push(`run ${graph.name}`)
        const loads = this.log.filter((line) => line.startsWith('load')).length
        const releases = this.log.filter((line) => line.startsWith('release')).length
        if (this.crowded && loads - releases > 1) throw this.crowded
        await new Promise<void>((resolve) => this.#running.push(resolve))
        return {}
      },
      release: async () => {
        this.log.push(`release ${graph.name}`)
      },
    }
  }

  openModel(file: OnnxFile): Promise<Session> {
    return this.createSession(file)
  }

  finish(): void {
    for (const resolve of this.#running.splice(0)) resolve()
  }

  costOf = estimateCost

  async weightForm() {
    return {}
  }

  async dispose(): Promise<void> {}
}

const FLOATS = 1_000_000

/** A graph whose cost is its weight of 4 MB and one activation of the same size. */
function graphOf(name: string): Graph {
  const graph = new Graph(name)
  graph.output('y', silu(graph.weight('w', [FLOATS])))
  return graph
}

const weightsOf = (identity: string): Weights => ({ ...NO_WEIGHTS, name: identity, identity })
const cost = estimateCost(graphOf('any'))
const total = cost.weightBytes + cost.workBytes
const settle = () => new Promise((resolve) => setTimeout(resolve, 5))

function cacheFor(sessions: number, options = {}) {
  const runtime = new CountingRuntime()
  const cache = new SessionCache(runtime, { budgetBytes: sessions * total, ...options })
  const get = (name: string, weights = name) => cache.get(weightsOf(weights), name, () => graphOf(name))
  return { runtime, cache, get }
}

test('a session is loaded once', async () => {
  const { runtime, cache, get } = cacheFor(3)
  const [first, second] = await Promise.all([get('a'), get('a')])
  expect(first).toBe(second)
  expect(runtime.log).toEqual(['load a'])
  expect(cache.usedBytes).toBe(total)
  await cache.release()
  expect(runtime.log).toEqual(['load a', 'release a'])
  expect(cache.usedBytes).toBe(0)
})

test('the least recently used makes room, and comes back when it is run', async () => {
  const { runtime, get } = cacheFor(2)
  const a = await get('a')
  await get('b')
  await get('a')
  await get('c')
  expect(runtime.log).toEqual(['load a', 'load b', 'release b', 'load c'])
  await get('b')
  expect(runtime.log.slice(4)).toEqual(['release a', 'load b'])
  const run = a.run({})
  await settle()
  expect(runtime.log.slice(6)).toEqual(['release c', 'load a', 'run a'])
  runtime.finish()
  expect(await run).toEqual({})
})

test('weights that sessions share count once', async () => {
  const { runtime, cache, get } = cacheFor(2)
  await get('a', 'shared')
  await get('b', 'shared')
  expect(cache.usedBytes).toBe(cost.weightBytes + 2 * cost.workBytes)
  expect(runtime.log).toEqual(['load a', 'load b'])
})

test('a ready-made model is kept like a graph, by its file', async () => {
  const { runtime, cache, get } = cacheFor(9, { budgetBytes: 1e9 })
  const file = { path: '/m.onnx', name: 'm', size: 1000, identity: '1', inputs: [], outputs: [] }
  const [first, second] = [await cache.open(file), await cache.open(file)]
  expect(second).toBe(first)
  await cache.open({ ...file, identity: '2' })
  await get('a')
  expect(runtime.log).toEqual(['load m', 'load m', 'load a'])
  expect(cache.usedBytes).toBe(total + 2 * (1000 + 32e6 + 4000))
})

test('what runs stays; who needs its room waits for it', async () => {
  const { runtime, get } = cacheFor(1)
  const running = (await get('a')).run({ x: float32([1]) })
  await settle()
  const b = get('b')
  await settle()
  expect(runtime.log).toEqual(['load a', 'run a'])
  runtime.finish()
  await Promise.all([running, b])
  expect(runtime.log).toEqual(['load a', 'run a', 'release a', 'load b'])
})

test('a released session is unloaded after its run', async () => {
  const { runtime, get } = cacheFor(1)
  const a = await get('a')
  const running = a.run({})
  const released = a.release()
  await settle()
  expect(runtime.log).toEqual(['load a', 'run a'])
  runtime.finish()
  await Promise.all([running, released])
  expect(runtime.log.at(-1)).toBe('release a')
})

test('without idle sessions, each makes way for the next', async () => {
  const { runtime, get } = cacheFor(9, { keepsIdle: false })
  await get('a')
  await get('b')
  expect(runtime.log).toEqual(['load a', 'release a', 'load b'])
})

describe('errors', () => {
  test('what can never fit is refused before anything is loaded or unloaded', async () => {
    const { runtime, get } = cacheFor(0.5)
    const error = await get('a').catch((e: unknown) => e)
    expect(error).toBeInstanceOf(OutOfMemoryError)
    expect(error).toMatchObject({ neededBytes: total, limitBytes: total / 2 })
    expect(String(error)).toMatch(/a \(.*\) needs 0.0 GB \(weights .*, activations .*\) and the memory budget is/)
    expect(runtime.log).toEqual([])
  })

  test('a run that a device has no memory for is made once more, alone', async () => {
    const { runtime, get } = cacheFor(9)
    runtime.crowded = new OutOfMemoryError('CUDA failure 2: out of memory')
    await get('a')
    const run = (await get('b')).run({})
    await settle()
    expect(runtime.log).toEqual(['load a', 'load b', 'run b', 'release a', 'run b'])
    runtime.finish()
    expect(await run).toEqual({})
  })

  test('a session that a device has no memory for is an error when nothing else is loaded', async () => {
    const { runtime, cache, get } = cacheFor(9)
    runtime.failure = new OutOfMemoryError('CUDA failure 2: out of memory')
    await expect(get('a')).rejects.toThrow('out of memory')
    expect(runtime.log).toEqual(['load a'])
    expect(cache.usedBytes).toBe(0)
  })

  test('a failed load is not kept', async () => {
    const { runtime, cache, get } = cacheFor(2)
    runtime.failure = new Error('no such operator')
    await expect(get('a')).rejects.toThrow('no such operator')
    expect(cache.usedBytes).toBe(0)
    runtime.failure = undefined
    await get('a')
    expect(runtime.log).toEqual(['load a', 'load a'])
  })

  test('what is not run stays within its part, and one that needs more than that is loaded', async () => {
    const { runtime, cache, get } = cacheFor(3, { keptBytes: 2 * total })
    await get('a')
    await get('b')
    await get('c')
    expect(runtime.log).toEqual(['load a', 'load b', 'release a', 'load c'])
    expect(cache.usedBytes).toBeLessThanOrEqual(2 * total)
    const small = cacheFor(3, { keptBytes: total / 2 })
    await small.get('a')
    await small.get('b')
    expect(small.runtime.log).toEqual(['load a', 'release a', 'load b'])
  })

  test('sessions that run may take the whole budget', async () => {
    const { runtime, get } = cacheFor(2, { keptBytes: total })
    const running = (await get('a')).run({})
    await settle()
    const other = (await get('b')).run({})
    await settle()
    expect(runtime.log).toEqual(['load a', 'run a', 'load b', 'run b'])
    runtime.finish()
    await Promise.all([running, other])
  })

  test('what was not run between two looks is given back, and loaded again when it is run', async () => {
    const { runtime, cache, get } = cacheFor(3)
    const [a, b] = [await get('a'), await get('b')]
    await cache.releaseUnused()
    const run = a.run({})
    await settle()
    await cache.releaseUnused()
    await cache.releaseUnused()
    expect(runtime.log).toEqual(['load a', 'load b', 'run a', 'release b'])
    runtime.finish()
    await run
    await cache.releaseUnused()
    expect(runtime.log.at(-1)).toBe('release a')
    const again = b.run({})
    await settle()
    runtime.finish()
    await again
    expect(runtime.log.slice(-2)).toEqual(['load b', 'run b'])
  })
})

test('activations are counted while they live', () => {
  const graph = new Graph('chain')
  const x = graph.input('x', 'float32', [FLOATS])
  const [first, second] = [silu(x), silu(x)]
  graph.output('y', silu(silu(first)))
  graph.output('z', second)
  // first, second and the next of the chain: three live at once, and 256 MB of slack is more than twice that.
  expect(estimateCost(graph)).toEqual({ weightBytes: 0, workBytes: Math.ceil(3.3 * 3 * 4 * FLOATS) })
})
