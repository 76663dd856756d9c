import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SILENT_LOG } from '../../test/fakes/silent-log.ts'
import { openTestQueue, submission, type TestQueue } from '../../test/fakes/test-queue.ts'
import { Claims } from './claims.ts'
import type { RunnerQueue } from './runner-queue.ts'

const outcome = { status: 200, body: '{}', headers: {} }

let queue: TestQueue

beforeEach(async () => {
  queue = await openTestQueue()
})

afterEach(() => queue.close())

/** The queue with some of its calls played by the test. */
function withPlayed(played: Partial<RunnerQueue>): RunnerQueue {
  return new Proxy(queue, { get: (target, name) => Reflect.get(name in played ? played : target, name) })
}

describe('Claims', () => {
  it('completes nothing that is being handed back', async () => {
    await queue.enqueue(submission('r', 'fake/echo', {}))
    const claim = await queue.claim('runner', ['fake/echo'], [])
    if (claim === undefined) throw new Error('expected a claim')
    const slow = withPlayed({
      async release(token) {
        await new Promise((resolve) => setTimeout(resolve, 10))
        return await queue.release(token)
      },
    })
    const claims = new Claims(slow, 'runner', 60_000, SILENT_LOG)
    claims.hold(claim, () => {})
    const released = claims.releaseAll()
    await claims.complete(claim, outcome, false)
    await released
    claims.close()
    const request = await queue.get('r')
    expect(request).toMatchObject({ state: 'queued', attempt: 1 })
    expect(request?.outcome).toBeUndefined()
  })

  it('goes on holding the next attempt when the one before it is over', async () => {
    const [first, second] = [1, 2].map((attempt) => ({ requestId: 'r', attempt }))
    if (first === undefined || second === undefined) throw new Error('expected two claims')
    const retry = async () => {
      claims.hold(second, () => {})
      return true
    }
    const claims: Claims = new Claims(withPlayed({ retry }), 'runner', 60_000, SILENT_LOG)
    claims.hold(first, () => {})
    await claims.complete(first, outcome, true)
    expect(claims.holds(first)).toBe(false)
    expect(claims.holds(second)).toBe(true)
    claims.close()
  })

  it('stops what the queue wants stopped, and not the next attempt at it', async () => {
    const stopped: number[] = []
    let answer: (requestIds: string[]) => void = () => {}
    const heartbeat = () =>
      new Promise<string[]>((resolve) => {
        answer = resolve
      })
    const claims = new Claims(withPlayed({ heartbeat }), 'runner', 1, SILENT_LOG)
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
