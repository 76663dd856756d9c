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
  })

  it('finds by its safety poll what no event told', async () => {
    const queue = fixture.queue({ safetyPollSeconds: 0.01 })
    await new Promise<void>((resolve) => queue.onWork(resolve))
    await new Promise<void>((resolve) => queue.onRequestChange('a', resolve))
  })
}
