import { expect, it } from 'vitest'
import type { RequestPage } from '../../src/queue/request-queue.ts'
import type { QueueFixture } from './queue-fixture.ts'
import { advertisement, claimed, DONE, ENDPOINT, submission, textsOf } from './queue-samples.ts'

const OTHER = 'fal-ai/lora'

/** What a request goes through when nothing fails. */
export function describeRequests(fixture: QueueFixture): void {
  it('gives back what was submitted', async () => {
    const queue = fixture.queue()
    const full = submission('r1', {
      input: `{"image_url":"data:image/png;base64,${'A'.repeat(5_000_000)}","prompt":"\u{1F3A8} \\u0000"}`,
      priority: 'low',
      keyId: 'key-1',
      startTimeoutSeconds: 2.5,
      runTimeoutSeconds: 60,
      retry: false,
      storeIo: false,
      webhookUrl: 'http://receiver.test/hook',
      runnerHint: 'hint',
      objectLifecycle: '{"expiration_duration_seconds":60}',
    })
    expect(await queue.enqueue(full)).toBe(0)
    expect(await queue.get('r1')).toMatchObject({ ...full, state: 'queued', attempt: 0, cancelRequested: false })
    expect(await claimed(queue)).toMatchObject({ ...full, attempt: 1 })
    expect(await queue.status('r1')).toMatchObject({ state: 'running', startedAt: expect.any(Date) })
    expect(await queue.status('r1')).not.toHaveProperty('input')
    expect(await queue.get('r2')).toBeUndefined()
    expect(await queue.status('r2')).toBeUndefined()
  })

  it('takes normal priority before low, and the older first', async () => {
    const queue = fixture.queue()
    for (const [id, priority] of [
      ['a', 'low'],
      ['b', 'normal'],
      ['c', 'low'],
      ['d', 'normal'],
    ] as const)
      await queue.enqueue(submission(id, { priority }))
    const order = []
    for (let i = 0; i < 4; i++) order.push((await claimed(queue)).requestId)
    expect(order).toEqual(['b', 'd', 'a', 'c'])
    expect(await queue.claim('runner-1', [ENDPOINT], [])).toBeUndefined()
  })

  it('finds the one of normal priority behind many of low priority', async () => {
    const queue = fixture.queue()
    for (let i = 0; i < 12; i++) await queue.enqueue(submission(`low ${i}`, { priority: 'low' }))
    await queue.enqueue(submission('normal'))
    expect((await claimed(queue)).requestId).toBe('normal')
  })

  it('counts the requests ahead, per endpoint', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('elsewhere', { endpointId: OTHER }))
    const ahead = []
    for (const [id, priority] of [
      ['a', 'low'],
      ['b', 'normal'],
      ['c', 'normal'],
    ] as const)
      ahead.push(await queue.enqueue(submission(id, { priority })))
    expect(ahead).toEqual([0, 0, 1])
    expect(await Promise.all(['a', 'b', 'c'].map((id) => queue.position(id)))).toEqual([2, 0, 1])
    await claimed(queue)
    expect(await Promise.all(['a', 'b', 'c'].map((id) => queue.position(id)))).toEqual([1, 0, 0])
    expect(await queue.load()).toEqual([
      { endpointId: ENDPOINT, queued: 2, running: 1 },
      { endpointId: OTHER, queued: 1, running: 0 },
    ])
  })

  it('refuses a request that finds the queue longer than it accepts', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('a', { maxQueueLength: 1 }))
    await queue.enqueue(submission('b', { maxQueueLength: 2 }))
    await expect(queue.enqueue(submission('c', { maxQueueLength: 2 }))).rejects.toMatchObject({ status: 429 })
    expect(await queue.get('c')).toBeUndefined()
    await claimed(queue)
    expect(await queue.enqueue(submission('d', { maxQueueLength: 2 }))).toBe(1)
  })

  it('counts towards a limit of the queue what is ahead of a request, not what another account has behind it', async () => {
    const queue = fixture.queue()
    for (let i = 0; i < 5; i++) await queue.enqueue(submission(`greedy${i}`, { account: 'greedy' }))
    expect(await queue.enqueue(submission('honest', { account: 'honest', maxQueueLength: 2 }))).toBe(1)
    const refused = queue.enqueue(submission('one more', { account: 'greedy', maxQueueLength: 5 }))
    await expect(refused).rejects.toMatchObject({ status: 429 })
    expect(await queue.get('one more')).toBeUndefined()
  })

  it('offers a runner only its endpoints', async () => {
    const queue = fixture.queue()
    for (const id of ['a', 'b']) await queue.enqueue(submission(id))
    await queue.enqueue(submission('c', { endpointId: OTHER }))
    expect(await queue.claim('runner-1', [], [])).toBeUndefined()
    expect((await queue.claim('runner-1', [OTHER], []))?.requestId).toBe('c')
    expect(await queue.claim('runner-1', [OTHER], [])).toBeUndefined()
    expect((await queue.claim('runner-2', [ENDPOINT, OTHER], []))?.requestId).toBe('a')
  })

  it('lets a warm endpoint or hint overtake by its advantage, never a priority', async () => {
    const queue = fixture.queue({ warmAdvantageSeconds: 10 })
    await queue.enqueue(submission('cold'))
    fixture.pass(9)
    await queue.enqueue(submission('warm', { endpointId: OTHER }))
    await queue.enqueue(submission('hinted', { runnerHint: 'h1' }))
    await queue.enqueue(submission('warm but low', { endpointId: OTHER, priority: 'low' }))
    fixture.pass(2)
    await queue.enqueue(submission('too young', { endpointId: OTHER }))
    const order = []
    for (let i = 0; i < 5; i++) order.push((await queue.claim('runner-1', [ENDPOINT, OTHER], [OTHER, 'h1']))?.requestId)
    expect(order).toEqual(['warm', 'hinted', 'cold', 'too young', 'warm but low'])
  })

  it('leaves a fresh request to an idle runner that is warm for it, for a moment', async () => {
    const queue = fixture.queue({ warmGraceSeconds: 0.2 })
    await queue.advertise(advertisement('warm', { warm: [ENDPOINT] }))
    await queue.enqueue(submission('a'))
    await queue.enqueue(submission('b'))
    expect(await queue.claim('cold', [ENDPOINT], [])).toBeUndefined()
    expect((await claimed(queue, 'warm', [ENDPOINT])).requestId).toBe('a')
    fixture.pass(0.3)
    expect((await queue.claim('cold', [ENDPOINT], []))?.requestId).toBe('b')
  })

  it('cancels a waiting request at once', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('a'))
    await queue.enqueue(submission('b'))
    expect(await queue.cancel('a')).toBe('requested')
    expect(await queue.cancel('a')).toBe('already_completed')
    expect(await queue.cancel('nobody')).toBe('not_found')
    expect(await queue.position('b')).toBe(0)
    const record = await queue.get('a')
    expect(record).toMatchObject({ state: 'completed', outcome: { status: 499, error: { type: 'client_cancelled' } } })
    expect(record?.outcome?.body).toBe(
      '{"detail":"Request was cancelled","error_type":"client_cancelled","message":"Request was cancelled"}',
    )
    expect((await claimed(queue)).requestId).toBe('b')
  })

  it('tells the runner of a cancelled request to stop', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('a'))
    const claim = await claimed(queue)
    expect(await queue.heartbeat('runner-1', [claim])).toEqual([])
    let changes = 0
    queue.onRequestChange('a', () => changes++)
    expect(await queue.cancel('a')).toBe('requested')
    expect(changes).toBeGreaterThan(0)
    expect((await queue.status('a'))?.cancelRequested).toBe(true)
    expect(await queue.heartbeat('runner-1', [claim])).toEqual(['a'])
    // A handler that ignores it still finishes with its own result.
    expect(await queue.complete(claim, DONE)).toBe(true)
    expect((await queue.get('a'))?.outcome).toEqual(DONE)
  })

  it('keeps the outcome of the first completion only', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('a'))
    const claim = await claimed(queue)
    fixture.pass(3)
    expect(await queue.complete(claim, { ...DONE, inferenceSeconds: 1.5 })).toBe(true)
    expect(await queue.complete(claim, { status: 500, body: '{}', headers: {} })).toBe(false)
    const record = await queue.get('a')
    expect(record).toMatchObject({ state: 'completed', outcome: { ...DONE, inferenceSeconds: 1.5 } })
    expect((record?.completedAt?.getTime() ?? 0) - (record?.startedAt?.getTime() ?? 0)).toBe(3000)
    expect(await queue.heartbeat('runner-1', [claim])).toEqual(['a'])
  })

  it('records the webhook with the completion, numbers to the last digit', async () => {
    const queue = fixture.queue()
    for (const id of ['ok', 'bad', 'none'])
      await queue.enqueue(submission(id, id === 'none' ? {} : { webhookUrl: `http://receiver.test/${id}` }))
    await queue.complete(await claimed(queue), DONE)
    await queue.complete(await claimed(queue), { status: 422, body: '{"detail":[]}', headers: {} })
    await queue.complete(await claimed(queue), DONE)
    const rows = await fixture.database.read((query) =>
      query.selectFrom('webhook_deliveries').selectAll().orderBy('id').execute(),
    )
    expect(
      rows.map(({ request_id, url, payload, state, attempts }) => [request_id, url, payload, state, attempts]),
    ).toEqual([
      [
        'ok',
        'http://receiver.test/ok',
        '{"request_id":"ok","gateway_request_id":"ok","status":"OK","payload":{"seed":18446744073709551615},"error":null}',
        'pending',
        0,
      ],
      [
        'bad',
        'http://receiver.test/bad',
        '{"request_id":"bad","gateway_request_id":"bad","status":"ERROR","payload":{"detail":[]},"error":"Unexpected status code: 422"}',
        'pending',
        0,
      ],
    ])
  })

  it('does not complete a request whose webhook cannot be recorded', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('a', { webhookUrl: 'http://receiver.test/a' }))
    const claim = await claimed(queue)
    await fixture.database.execute('synced', (query) =>
      query.schema.alterTable('webhook_deliveries').renameTo('set_aside').execute(),
    )
    try {
      await expect(queue.complete(claim, DONE)).rejects.toThrow(/webhook_deliveries/)
    } finally {
      await fixture.database.execute('synced', (query) =>
        query.schema.alterTable('set_aside').renameTo('webhook_deliveries').execute(),
      )
    }
    expect((await queue.status('a'))?.state).toBe('running')
    expect(await queue.complete(claim, DONE)).toBe(true)
  })

  it('keeps logs in order and refuses those of a stale attempt', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('a'))
    const claim = await claimed(queue)
    const entries = Array.from({ length: 20 }, (_, i) => ({
      timestamp: new Date(1000 + i),
      level: 'INFO' as const,
      message: `step ${i}`,
      ...(i % 2 === 1 && { progress: { done: i, total: 20 } }),
    }))
    await queue.appendLogs(claim, entries.slice(0, 12))
    await queue.appendLogs(claim, [])
    await queue.appendLogs({ ...claim, attempt: 2 }, entries)
    await queue.appendLogs(claim, entries.slice(12))
    expect(await queue.logs('a')).toEqual(entries)
    expect(await queue.logs('a', 18)).toEqual(entries.slice(18))
    expect(await queue.logs('nobody')).toEqual([])
    await queue.appendLogs(claim, [{ timestamp: new Date(0), level: 'ERROR', message: 'a\0b' }])
    expect((await queue.logs('a', 20))[0]?.message).toBe('a\uFFFDb')
  })

  it('returns a drained request to its old place, its attempt not lost', async () => {
    const queue = fixture.queue({ maxLosses: 1 })
    for (const id of ['a', 'b', 'c']) await queue.enqueue(submission(id))
    const claim = await claimed(queue)
    expect(await queue.release(claim)).toBe(true)
    expect(await queue.release(claim)).toBe(false)
    expect(await queue.position('b')).toBe(1)
    const again = await claimed(queue, 'runner-2')
    expect(again).toMatchObject({ requestId: 'a', attempt: 2 })
    expect(await queue.complete(claim, DONE)).toBe(false)
    await queue.cancel('a')
    expect(await queue.release(again)).toBe(true)
    expect((await queue.get('a'))?.outcome?.status).toBe(499)
  })

  it('lists finished requests by their end and by their time, a page behind the other', async () => {
    const queue = fixture.queue()
    const record = (id: string, startedAt: number | undefined, completedAt: number, extra = {}) =>
      queue.record({
        ...submission(id, extra),
        acceptedAt: new Date(1000),
        ...(startedAt !== undefined && { startedAt: new Date(startedAt) }),
        completedAt: new Date(completedAt),
        outcome: DONE,
      })
    await queue.enqueue(submission('waits'))
    await record('long', 1000, 9000)
    await record('short', 7000, 8000)
    await record('twin', 5000, 6000)
    await record('last', 7000, 10_000)
    await record('never began', undefined, 7000)
    await record('elsewhere', 1000, 20_000, { endpointId: OTHER })
    const all = async (order: 'ended' | 'duration', limit: number) => {
      const ids: string[] = []
      for (let cursor: string | undefined = ''; cursor !== undefined; ) {
        const page: RequestPage = await queue.list({ account: 'default', endpointId: ENDPOINT, limit, order, cursor })
        ids.push(...page.requests.map(({ requestId }) => requestId))
        cursor = page.next
      }
      return ids
    }
    for (const limit of [1, 2, 9]) {
      expect(await all('ended', limit)).toEqual(['last', 'long', 'short', 'never began', 'twin'])
      expect(await all('duration', limit)).toEqual(['long', 'last', 'twin', 'short'])
    }
    const first = await queue.list({ account: 'default', endpointId: ENDPOINT, limit: 1, order: 'ended' })
    const other = await queue.list({
      account: 'default',
      endpointId: ENDPOINT,
      limit: 1,
      order: 'duration',
      cursor: first.next ?? '',
    })
    expect(other.requests[0]?.requestId).toBe('long')
  })

  it('counts what ended well by time, endpoint and key', async () => {
    const queue = fixture.queue()
    const run = (requestId: string, seconds: number, extra: object = {}, status = 200) =>
      queue.record({
        ...submission(requestId, extra),
        acceptedAt: new Date(0),
        completedAt: new Date(seconds * 1000),
        outcome: { ...DONE, status },
      })
    await run('a', 60, { keyId: 'k1' })
    await run('b', 119, { keyId: 'k1' })
    await run('c', 119)
    await run('d', 120, { keyId: 'k2' })
    await run('e', 60, { endpointId: OTHER })
    await run('failed', 60, {}, 422)
    await run('later', 600)
    await run('of others', 60, { account: 'others' })
    const filter = { account: 'default', from: new Date(0), before: new Date(600_000), bucketMs: 60_000 }
    const rows = await queue.usage({ ...filter, endpointIds: [ENDPOINT, OTHER] })
    const minute = (startedAt: number) => new Date(startedAt * 60_000)
    expect(rows).toHaveLength(4)
    expect(rows).toEqual(
      expect.arrayContaining([
        { startedAt: minute(1), endpointId: ENDPOINT, keyId: 'k1', requests: 2 },
        { startedAt: minute(1), endpointId: ENDPOINT, requests: 1 },
        { startedAt: minute(2), endpointId: ENDPOINT, keyId: 'k2', requests: 1 },
        { startedAt: minute(1), endpointId: OTHER, requests: 1 },
      ]),
    )
    const [ofKey] = await queue.usage({ ...filter, endpointIds: [ENDPOINT], keyIds: ['k2'] })
    expect(ofKey).toMatchObject({ keyId: 'k2', requests: 1 })
    expect(await queue.usage({ ...filter, endpointIds: [] })).toEqual([])
  })

  it('lists an endpoint\u2019s requests, newest first, and erases payloads', async () => {
    const queue = fixture.queue()
    for (const id of ['a', 'b', 'c']) await queue.enqueue(submission(id))
    await queue.complete(await claimed(queue), DONE)
    await queue.complete(await claimed(queue), { status: 422, body: '{}', headers: {} })
    await queue.record({
      ...submission('sync'),
      acceptedAt: new Date(5000),
      completedAt: new Date(6000),
      outcome: { ...DONE, status: 500 },
    })
    const first = await queue.list({ account: 'default', endpointId: ENDPOINT, limit: 3 })
    expect(first.requests.map((request) => request.requestId)).toEqual(['sync', 'c', 'b'])
    const second = await queue.list({ account: 'default', endpointId: ENDPOINT, limit: 3, cursor: first.next ?? '' })
    expect(second).toMatchObject({ requests: [{ requestId: 'a' }] })
    expect(second.next).toBeUndefined()
    const ids = async (result: 'success' | 'user_error' | 'error') =>
      (await queue.list({ account: 'default', endpointId: ENDPOINT, limit: 9, result })).requests.map(
        (request) => request.requestId,
      )
    expect([await ids('success'), await ids('user_error'), await ids('error')]).toEqual([['a'], ['b'], ['sync']])
    expect(await queue.get('sync')).toBeUndefined()
    expect(await textsOf(queue, 'sync')).toEqual({ input: '{"prompt":"sync"}', output: DONE.body })
    expect(await queue.erasePayload('c')).toBe(false)
    expect(await queue.erasePayload('sync')).toBe(true)
    expect(await queue.find('sync')).toMatchObject({ outcome: { status: 500 } })
    expect(await textsOf(queue, 'sync')).toEqual({ input: 'null' })
  })
}
