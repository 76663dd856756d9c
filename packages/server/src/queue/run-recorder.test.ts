import { describe, expect, it } from 'vitest'
import { answeredRun } from '../../test/fakes/answered-run.ts'
import { RunRecorder } from './run-recorder.ts'

const run = (requestId: string, body = '{}') => answeredRun(requestId, { outcome: { status: 200, body, headers: {} } })

describe('RunRecorder', () => {
  it('writes what came together in one go, in order', async () => {
    const writes: string[][] = []
    const recorder = new RunRecorder(async (runs) => void writes.push(runs.map(({ requestId }) => requestId)))
    await Promise.all(['a', 'b', 'c'].map((id) => recorder.record(run(id))))
    await recorder.record(run('d'))
    expect(writes).toEqual([['a', 'b', 'c'], ['d']])
  })

  it('keeps a write short: few runs, and few bytes', async () => {
    const sizes: number[] = []
    const recorder = new RunRecorder(async (runs) => void sizes.push(runs.length))
    const large = '"'.padEnd(700_000, 'x')
    const recorded = Promise.all(
      Array.from({ length: 45 }, (_, index) => recorder.record(run(`${index}`, index < 40 ? '{}' : large))),
    )
    await recorder.flush()
    await recorded
    expect(sizes).toEqual([32, 10, 2, 1])
  })

  it('flushes while a write is underway, without losing or repeating a run', async () => {
    const written: string[] = []
    const recorder = new RunRecorder(async (runs) => {
      await new Promise(setImmediate)
      written.push(...runs.map(({ requestId }) => requestId))
    })
    const first = recorder.record(run('a'))
    const flushed = recorder.flush()
    await recorder.flush()
    expect(written).toEqual(['a'])
    const second = recorder.record(run('b'))
    await recorder.flush()
    expect(written).toEqual(['a', 'b'])
    await Promise.all([first, flushed, second])
  })

  it('tells those whose write failed, and goes on', async () => {
    let failing = true
    const recorder = new RunRecorder(async () => {
      if (failing) throw new Error('disk full')
    })
    const lost = Promise.allSettled([recorder.record(run('a')), recorder.record(run('b'))])
    await recorder.flush()
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    failing = false
    await expect(recorder.record(run('c'))).resolves.toBeUndefined()
  })

  it('takes no more when too much waits for a database that does not keep up', async () => {
    let release = () => {}
    const recorder = new RunRecorder(
      () =>
        new Promise((resolve) => {
          release = resolve
        }),
    )
    const held = recorder.record(run('a', 'x'.repeat(65 * 1024 * 1024)))
    await expect(recorder.record(run('b'))).rejects.toThrow(/wait to be recorded/)
    const flushed = recorder.flush()
    release()
    await Promise.all([held, flushed])
    const again = recorder.record(run('b'))
    const flushedAgain = recorder.flush()
    release()
    await expect(Promise.all([again, flushedAgain])).resolves.toBeDefined()
  })
})
