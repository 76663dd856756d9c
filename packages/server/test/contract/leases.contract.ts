import { expect, it } from 'vitest'
import type { QueueFixture } from './queue-fixture.ts'
import { advertisement, claimed, DONE, ENDPOINT, submission } from './queue-samples.ts'

/** What happens when runners are lost and time runs out. */
export function describeLeases(fixture: QueueFixture): void {
  it('gives the request of a lost runner to another, and ignores what the lost one still sends', async () => {
    const queue = fixture.queue({ leaseSeconds: 6, backoffSeconds: 0.5 })
    await queue.enqueue(submission('a'))
    await queue.enqueue(submission('b'))
    const stale = await claimed(queue, 'runner-1')
    fixture.pass(5)
    await queue.reap()
    expect((await queue.status('a'))?.state).toBe('running')
    fixture.pass(2)
    await queue.reap()
    expect(await queue.status('a')).toMatchObject({ state: 'queued', attempt: 1 })
    expect(await queue.heartbeat('runner-1', [stale])).toEqual(['a'])
    expect((await claimed(queue, 'runner-2')).requestId).toBe('b') // a waits for its back-off …
    fixture.pass(0.6)
    const second = await claimed(queue, 'runner-2')
    expect(second).toMatchObject({ requestId: 'a', attempt: 2 })
    expect(await queue.complete(stale, { ...DONE, body: '"stale"' })).toBe(false)
    expect(await queue.release(stale)).toBe(false)
    expect(await queue.retry(stale, DONE)).toBe(false)
    expect(await queue.heartbeat('runner-1', [stale])).toEqual(['a'])
    expect(await queue.complete(second, DONE)).toBe(true)
    expect((await queue.get('a'))?.outcome).toEqual(DONE)
  })

  it('keeps a claim as long as its runner sends heartbeats', async () => {
    const queue = fixture.queue({ leaseSeconds: 6 })
    await queue.advertise(advertisement('runner-1'))
    await queue.enqueue(submission('a'))
    const claim = await claimed(queue)
    for (let i = 0; i < 5; i++) {
      fixture.pass(4)
      expect(await queue.heartbeat('runner-1', [claim])).toEqual([])
      await queue.reap()
    }
    expect(await queue.runners()).toHaveLength(1)
    expect(await queue.complete(claim, DONE)).toBe(true)
  })

  it('waits twice as long before each further attempt, and gives a poison request up', async () => {
    const queue = fixture.queue({ leaseSeconds: 1, backoffSeconds: 1, maxBackoffSeconds: 3, maxLosses: 4 })
    await queue.enqueue(submission('poison', { webhookUrl: 'http://receiver.test/poison' }))
    const waited = []
    for (let losses = 1; losses <= 4; losses++) {
      expect((await claimed(queue)).attempt).toBe(losses)
      fixture.pass(1.1)
      await queue.reap()
      for (let seconds = 0; seconds < 9 && losses < 4; seconds += 0.5) {
        fixture.pass(0.5)
        const claim = await queue.claim('probe', [ENDPOINT], [])
        if (claim === undefined) continue
        waited.push(seconds + 0.5)
        await queue.release(claim)
        break
      }
      await renumber(losses)
    }
    expect(waited).toEqual([1, 2, 3])
    expect((await queue.get('poison'))?.outcome).toMatchObject({
      status: 503,
      headers: { 'x-fal-error-type': 'runner_disconnected' },
      error: { type: 'runner_disconnected', message: expect.stringContaining('4 times') },
    })
    expect(await webhooks()).toEqual(['poison'])
  })

  it('fails at once what asked for no retry', async () => {
    const queue = fixture.queue({ leaseSeconds: 1 })
    await queue.enqueue(submission('once', { retry: false }))
    await claimed(queue)
    fixture.pass(2)
    await queue.reap()
    expect((await queue.get('once'))?.outcome).toMatchObject({ status: 503, error: { type: 'runner_disconnected' } })
  })

  it('ends a cancelled request of a lost runner instead of trying it again', async () => {
    const queue = fixture.queue({ leaseSeconds: 1 })
    await queue.enqueue(submission('a'))
    await claimed(queue)
    await queue.cancel('a')
    fixture.pass(2)
    await queue.reap()
    expect((await queue.get('a'))?.outcome?.status).toBe(499)
  })

  it('tries a failure that may pass again, and keeps the last one', async () => {
    const queue = fixture.queue({ backoffSeconds: 1, maxLosses: 2 })
    const failure = { status: 503, body: '{"detail":"out of memory"}', headers: {} }
    await queue.enqueue(submission('a'))
    expect(await queue.retry(await claimed(queue), failure)).toBe(true)
    expect(await queue.claim('runner-1', [ENDPOINT], [])).toBeUndefined()
    fixture.pass(1)
    expect(await queue.retry(await claimed(queue), failure)).toBe(true)
    expect((await queue.get('a'))?.outcome).toEqual(failure)
  })

  it('ends what was not started or not finished in time', async () => {
    const queue = fixture.queue({ leaseSeconds: 100 })
    await queue.enqueue(submission('running', { startTimeoutSeconds: 5, runTimeoutSeconds: 3 }))
    await queue.enqueue(submission('waiting', { startTimeoutSeconds: 5, webhookUrl: 'http://receiver.test/waiting' }))
    const claim = await claimed(queue)
    fixture.pass(2.9)
    await queue.reap()
    expect((await queue.status('running'))?.state).toBe('running')
    fixture.pass(2.2)
    expect(await queue.claim('runner-1', [ENDPOINT], [])).toBeUndefined() // too late, reaped or not
    await queue.reap()
    expect(await queue.heartbeat('runner-1', [claim])).toEqual(['running'])
    expect((await queue.get('running'))?.outcome).toMatchObject({ status: 504, error: { type: 'request_timeout' } })
    const late = (await queue.get('waiting'))?.outcome
    expect(late).toMatchObject({
      status: 504,
      headers: { 'x-fal-error-type': 'request_timeout', 'x-fal-request-timeout-type': 'user' },
    })
    expect(JSON.parse(late?.body ?? '')).toEqual({
      detail: late?.error?.message,
      error_type: 'request_timeout',
      message: late?.error?.message,
    })
    expect(await webhooks()).toEqual(['waiting'])
  })

  it('reaps more than one batch', async () => {
    const queue = fixture.queue({ leaseSeconds: 1, maxLosses: 1 })
    await queue.enqueue(submission('first', { startTimeoutSeconds: 1 }))
    await multiply(130)
    expect(await queue.load()).toEqual([{ endpointId: ENDPOINT, queued: 130, running: 0 }])
    fixture.pass(2)
    await queue.reap()
    expect(await queue.load()).toEqual([])
  })

  it('outlives a clock that is set back', async () => {
    const queue = fixture.queue({ leaseSeconds: 6, backoffSeconds: 1, maxBackoffSeconds: 1 })
    for (const id of ['held', 'lost']) await queue.enqueue(submission(id))
    await claimed(queue, 'runner-1')
    await claimed(queue, 'runner-2')
    await queue.withdraw('runner-2')
    await queue.enqueue(submission('fresh'))
    fixture.pass(-3600)
    await queue.reap()
    expect((await claimed(queue, 'runner-3')).requestId).toBe('fresh')
    fixture.pass(2)
    expect((await claimed(queue, 'runner-3')).requestId).toBe('lost')
    fixture.pass(5)
    await queue.reap()
    expect((await queue.status('held'))?.state).toBe('queued')
  })

  it('lists runners that are alive, and frees what a withdrawn one held', async () => {
    const queue = fixture.queue({ leaseSeconds: 6 })
    const first = advertisement('runner-1', { warm: [ENDPOINT], busy: 1 })
    await queue.advertise(advertisement('runner-1'))
    await queue.advertise(first)
    await queue.advertise(advertisement('runner-2'))
    expect(await queue.runners()).toEqual([first, advertisement('runner-2')])
    fixture.pass(4)
    await queue.heartbeat('runner-1', [])
    fixture.pass(4)
    expect(await queue.runners()).toEqual([first])
    await queue.enqueue(submission('a'))
    await claimed(queue, 'runner-1')
    await queue.withdraw('runner-1')
    expect(await queue.runners()).toEqual([])
    fixture.pass(1)
    expect(await claimed(queue, 'runner-2')).toMatchObject({ requestId: 'a', attempt: 2 })
  })

  it('erases what is past its retention, and nothing else', async () => {
    const queue = fixture.queue({ resultRetentionSeconds: 60, payloadRetentionSeconds: 600 })
    for (const id of ['short', 'long', 'waiting'])
      await queue.enqueue(submission(id, { storeIo: id !== 'short', webhookUrl: 'http://receiver.test/' }))
    for (const id of ['short', 'long']) {
      const claim = await claimed(queue)
      await queue.appendLogs(claim, [{ timestamp: new Date(0), level: 'INFO', message: id }])
      await queue.complete(claim, DONE)
    }
    const known = async () => {
      await queue.sweep()
      const found = []
      for (const id of ['short', 'long', 'waiting']) if ((await queue.get(id)) !== undefined) found.push(id)
      return found
    }
    fixture.pass(61)
    expect(await known()).toEqual(['short', 'long', 'waiting']) // their webhooks are still to be delivered
    await endWebhooks()
    expect(await known()).toEqual(['long', 'waiting'])
    expect([await queue.logs('short'), (await queue.logs('long')).length]).toEqual([[], 1])
    expect(await webhooks()).toEqual(['long'])
    fixture.pass(538)
    expect(await known()).toEqual(['long', 'waiting'])
    fixture.pass(2)
    expect(await known()).toEqual(['waiting'])
    expect(await webhooks()).toEqual([])
  })

  /** The probes of the back-off were claims too: takes their numbers back. */
  async function renumber(attempt: number): Promise<void> {
    await fixture.database.execute('relaxed', (query) => query.updateTable('requests').set({ attempt }).execute())
  }

  /** Makes copies of the only request, until there are `count`. */
  async function multiply(count: number): Promise<void> {
    await fixture.database.atomically('relaxed', async (query) => {
      const { seq: _, ...row } = await query.selectFrom('requests').selectAll().executeTakeFirstOrThrow()
      const copies = Array.from({ length: count - 1 }, (_, i) => ({ ...row, request_id: `copy-${i}` }))
      await query.insertInto('requests').values(copies).execute()
    })
  }

  async function endWebhooks(): Promise<void> {
    await fixture.database.execute('relaxed', (query) =>
      query.updateTable('webhook_deliveries').set({ state: 'delivered' }).execute(),
    )
  }

  async function webhooks(): Promise<string[]> {
    const rows = await fixture.database.read((query) =>
      query.selectFrom('webhook_deliveries').select('request_id').orderBy('id').execute(),
    )
    return rows.map((row) => row.request_id)
  }
}
