import { expect, it } from 'vitest'
import type { QueueFixture } from './queue-fixture.ts'
import { claimed, DONE, ENDPOINT, submission } from './queue-samples.ts'

/** How processes that share the queue wake each other. Two queues stand for two processes; nothing is polled. */
export function describeQueueEvents(fixture: QueueFixture): void {
  const NEVER = { safetyPollSeconds: 3600 }

  it('wakes runners for every request and watchers for every change', async () => {
    const queue = fixture.queue(NEVER)
    const heard: string[] = []
    queue.onWork(() => heard.push('work'))
    const stop = queue.onRequestChange('a', () => heard.push('a'))
    await queue.enqueue(submission('a'))
    await queue.enqueue(submission('b'))
    expect(heard).toEqual(['work', 'work'])
    const claim = await claimed(queue)
    await queue.appendLogs(claim, [{ timestamp: new Date(0), level: 'INFO', message: 'step' }])
    await queue.complete(claim, DONE)
    expect(heard).toEqual(['work', 'work', 'a', 'a', 'a'])
    await queue.release(await claimed(queue))
    stop()
    await queue.complete(await claimed(queue), DONE)
    expect(heard).toEqual(['work', 'work', 'a', 'a', 'a', 'work'])
  })

  it('tells who delivers webhooks of every end of a request that has one', async () => {
    const queue = fixture.queue({ ...NEVER, maxLosses: 1 })
    let looks = 0
    const stop = queue.onWebhook(() => looks++)
    const accept = (id: string, startTimeoutSeconds?: number) =>
      queue.enqueue(
        submission(id, {
          webhookUrl: 'http://receiver.test/hook',
          ...(startTimeoutSeconds !== undefined && { startTimeoutSeconds }),
        }),
      )
    const heard = async (end: () => Promise<unknown>) => {
      looks = 0
      await end()
      return looks
    }
    await accept('completed')
    const completed = await claimed(queue)
    expect(await heard(() => queue.complete(completed, DONE))).toBe(1)
    await accept('cancelled')
    expect(await heard(() => queue.cancel('cancelled'))).toBe(1)
    await accept('failed')
    const failed = await claimed(queue)
    expect(await heard(() => queue.retry(failed, { ...DONE, status: 503 }))).toBe(1)
    await accept('lost')
    await claimed(queue)
    expect(await heard(() => queue.withdraw('runner-1'))).toBe(1)
    await accept('late', 1)
    fixture.pass(2)
    expect(await heard(() => queue.reap())).toBe(1)
    await queue.enqueue(submission('none'))
    const none = await claimed(queue)
    expect(await heard(() => queue.complete(none, DONE))).toBe(0)
    stop()
    await accept('unheard')
    const unheard = await claimed(queue)
    expect(await heard(() => queue.complete(unheard, DONE))).toBe(0)
  })

  it('wakes them in other processes too', async ({ skip }) => {
    if (fixture.database.notifications === undefined) skip('processes of this database are bridged by IPC')
    const runner = fixture.queue(NEVER)
    const gateway = fixture.queue(NEVER)
    const offered = new Promise<void>((resolve) => runner.onWork(resolve))
    // Listening begins a moment after the queue was made; what was published before is not heard.
    await gateway.enqueue(submission('a'))
    const offer = setInterval(() => void gateway.enqueue(submission(crypto.randomUUID())), 50)
    await offered
    clearInterval(offer)
    const changed = new Promise<void>((resolve) => gateway.onRequestChange('a', resolve))
    expect((await runner.claim('runner-1', [ENDPOINT], []))?.requestId).toBe('a')
    await changed
    const ended = new Promise<void>((resolve) => gateway.onWebhook(resolve))
    const endpointId = 'fal-ai/lora'
    await gateway.enqueue(submission('hooked', { endpointId, webhookUrl: 'http://receiver.test/hook' }))
    const hooked = await runner.claim('runner-1', [endpointId], [])
    expect(await runner.complete(hooked ?? { requestId: '', attempt: 0 }, DONE)).toBe(true)
    await ended
  })

  it('finds by its safety poll what no event told', async () => {
    const queue = fixture.queue({ safetyPollSeconds: 0.01 })
    await new Promise<void>((resolve) => queue.onWork(resolve))
    await new Promise<void>((resolve) => queue.onRequestChange('a', resolve))
  })
}
