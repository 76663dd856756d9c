import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openWeightFile } from '../checkpoint/component-weights.ts'
import { NO_WEIGHTS, type Weights } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { silu } from '../graph/ops.ts'
import { type Engine, openEngine } from './engine.ts'

const UNET = join(
  import.meta.dirname,
  '../../test/golden/data/checkpoints/tiny-sd15/unet/diffusion_pytorch_model.safetensors',
)

let threads = 0
const count = () => {
  threads += 1
}
afterEach(() => {
  process.off('worker', count)
})

test('warming up starts the thread of sessions, which the first session then finds', async () => {
  const engine = openEngine({ threads: 1 })
  process.on('worker', count)
  try {
    await engine.warmUp()
    expect(threads).toBe(1)
    const graph = new Graph('first')
    graph.output('y', silu(graph.input('x', 'float32', [1])))
    await (await engine.runtime.createSession(graph, NO_WEIGHTS)).release()
    expect(threads).toBe(1)
  } finally {
    await engine.dispose()
  }
})

test('foreseeing opens with an engine that prepares nothing, and ends with its signal', async () => {
  const engine = openEngine({ threads: 1 })
  try {
    const stored = await openWeightFile('unet', UNET)
    const float16 = { float16: 'all' } as const
    const controller = new AbortController()
    const foreseen: Weights[] = []
    const open = async ({ weightCache }: Engine) => void foreseen.push(await weightCache.prepare(stored, float16))
    await engine.foresee(open, controller.signal)
    expect(new Set(foreseen[0]?.places().map(({ path }) => path))).toEqual(new Set([UNET]))
    expect((await engine.weightCache.prepare(stored, float16)).places()[0]?.path).not.toBe(UNET)
    controller.abort(new Error('another request is next'))
    await expect(engine.foresee(open, controller.signal)).rejects.toThrow('another request is next')
  } finally {
    await engine.dispose()
  }
})
