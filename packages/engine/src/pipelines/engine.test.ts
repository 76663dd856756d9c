import { afterEach, expect, test } from 'vitest'
import { NO_WEIGHTS } from '../checkpoint/prepared-weights.ts'
import { Graph } from '../graph/graph.ts'
import { silu } from '../graph/ops.ts'
import { openEngine } from './engine.ts'

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
