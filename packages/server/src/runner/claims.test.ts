import { describe, expect, it } from 'vitest'
import { MemoryQueue, submission } from '../../test/fakes/memory-queue.ts'
import { Claims } from './claims.ts'

const logger = { info: () => {}, warn: () => {}, error: () => {} }
const outcome = { status: 200, body: '{}', headers: {} }

describe('Claims', () => {
  it('completes nothing that is being handed back', async () => {
    const queue = new MemoryQueue()
    await queue.enqueue(submission('r', 'fake/echo', {}))
    const claim = await queue.claim('runner', ['fake/echo'])
    if (claim === undefined) throw new Error('expected a claim')
    const release = queue.release.bind(queue)
    queue.release = async (token) => {
      await new Promise((resolve) => setTimeout(resolve, 10))
      return await release(token)
    }
    const claims = new Claims(queue, 'runner', 60_000, logger)
    claims.hold(claim, () => {})
    const released = claims.releaseAll()
    await claims.complete(claim, outcome, false)
    await released
    claims.close()
    expect(queue.rows.get('r')).toMatchObject({ state: 'queued', attempt: 0 })
    expect(queue.rows.get('r')?.outcome).toBeUndefined()
  })

  it('goes on holding the next attempt when the one before it is over', async () => {
    const queue = new MemoryQueue()
    const claims = new Claims(queue, 'runner', 60_000, logger)
    const [first, second] = [1, 2].map((attempt) => ({ requestId: 'r', attempt }))
    if (first === undefined || second === undefined) throw new Error('expected two claims')
    queue.retry = async () => {
      claims.hold(second, () => {})
      return true
    }
    claims.hold(first, () => {})
    await claims.complete(first, outcome, true)
    expect(claims.holds(first)).toBe(false)
    expect(claims.holds(second)).toBe(true)
    claims.close()
  })

  it('stops what the queue wants stopped, and not the next attempt at it', async () => {
    const queue = new MemoryQueue()
    const stopped: number[] = []
    let answer: (requestIds: string[]) => void = () => {}
    queue.heartbeat = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const claims = new Claims(queue, 'runner', 1, logger)
    claims.hold({ requestId: 'r', attempt: 1 }, () => stopped.push(1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    claims.hold({ requestId: 'r', attempt: 2 }, () => stopped.push(2))
    answer(['r'])
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(stopped).toEqual([])
    answer(['r'])
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(stopped).toEqual([2])
    claims.close()
  })
})
