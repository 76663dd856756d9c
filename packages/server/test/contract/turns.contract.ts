import { expect, it } from 'vitest'
import type { RequestQueue, Submission } from '../../src/queue/request-queue.ts'
import { submissionColumns } from '../../src/queue/rows.ts'
import type { QueueFixture } from './queue-fixture.ts'
import { claimed, ENDPOINT, submission } from './queue-samples.ts'

const OTHER = 'fal-ai/lora'
const BOTH = [ENDPOINT, OTHER]

/** Accounts take turns, however many requests one of them has waiting. */
export function describeTurns(fixture: QueueFixture): void {
  it('takes one request behind a thousand of another account second, and serves the thousand', async () => {
    const queue = fixture.queue()
    // PGlite takes 10 ms for a claim.
    const flood = fixture.database.capabilities.dialect === 'sqlite' ? 1000 : 100
    await fill(flood - 5)
    for (const id of names('a', flood).slice(-5)) await queue.enqueue(submission(id, { account: 'a' }))
    expect(await queue.enqueue(submission('b0', { account: 'b' }))).toBe(1)
    const positions = ['a0', 'b0', 'a1', `a${flood - 1}`].map((id) => queue.position(id))
    expect(await Promise.all(positions)).toEqual([0, 1, 2, flood])
    expect(await claimAll(queue)).toEqual(['a0', 'b0', ...names('a', flood).slice(1)])
  })

  it('takes every request at the position that was told', async () => {
    const queue = fixture.queue()
    for (const [account, count] of [
      ['a', 7],
      ['b', 2],
      ['c', 4],
    ] as const)
      await enqueueAll(queue, account, count)
    await queue.enqueue(submission('low', { account: 'd', priority: 'low' }))
    const ids = [...names('a', 7), ...names('b', 2), ...names('c', 4), 'low']
    const told = new Map<number, string>()
    for (const id of ids) told.set(await queue.position(id), id)
    const order = await claimAll(queue)
    expect(order).toEqual(Array.from({ length: 14 }, (_, i) => told.get(i)))
    expect(order).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'c3', 'a4', 'a5', 'a6', 'low'])
  })

  it('gives one who asks again and again no more than a turn, and starves nobody of many', async () => {
    const queue = fixture.queue()
    await enqueueAll(queue, 'flood', 30)
    for (let i = 0; i < 20; i++) await queue.enqueue(submission(`one ${i}`, { account: `account ${i}` }))
    await queue.enqueue(submission('again 0', { account: 'again' }))
    const order: string[] = []
    for (let i = 0; i < 40; i++) {
      const { requestId, account } = await claimed(queue)
      order.push(requestId)
      if (account === 'again') await queue.enqueue(submission(`again ${i + 1}`, { account }))
    }
    // The first turn: the flood's first, everyone's one, and the first of who asks again.
    expect(order.slice(0, 22)).toEqual(['flood0', ...Array.from({ length: 20 }, (_, i) => `one ${i}`), 'again 0'])
    expect(order.slice(22).filter((id) => id.startsWith('flood'))).toEqual(names('flood', 10).slice(1))
    expect(order.slice(22).map((id) => id.replace(/ ?\d+$/, ''))).toEqual(
      Array.from({ length: 18 }, (_, i) => (i % 2 === 0 ? 'flood' : 'again')),
    )
  })

  it('sees what it will take, takes and writes nothing by looking', async () => {
    const queue = fixture.queue({ warmAdvantageSeconds: 10 })
    await enqueueAll(queue, 'a', 4)
    fixture.pass(1)
    await enqueueAll(queue, 'b', 3, { endpointId: OTHER })
    await queue.enqueue(submission('low', { account: 'b', priority: 'low', input: '{"seed":7}' }))
    const warm = [OTHER]
    const seen = []
    const taken = []
    for (let i = 0; i < 9; i++) {
      fixture.pass(1)
      const before = await rows()
      const next = await queue.peek('runner-1', BOTH, warm)
      expect(await queue.peek('runner-1', BOTH, warm)).toEqual(next)
      expect(await rows()).toEqual(before)
      const claim = await queue.claim('runner-1', BOTH, warm)
      seen.push(next)
      taken.push(claim && { requestId: claim.requestId, endpointId: claim.endpointId, input: claim.input })
    }
    expect(seen).toEqual(taken)
    expect(seen.slice(-2)).toEqual([{ requestId: 'low', endpointId: ENDPOINT, input: '{"seed":7}' }, undefined])
    expect(await queue.peek('runner-1', [], warm)).toBeUndefined()
  })

  it('sees a long input without reading it', async () => {
    const queue = fixture.queue()
    await queue.enqueue(submission('long', { input: JSON.stringify({ image_url: 'x'.repeat(100_000) }) }))
    expect(await queue.peek('runner-1', [ENDPOINT], [])).toEqual({ requestId: 'long', endpointId: ENDPOINT })
  })

  it('keeps turns apart that are submitted at the same time', async () => {
    const queue = fixture.queue()
    await Promise.all(names('a', 40).map((id) => queue.enqueue(submission(id, { account: 'a' }))))
    await Promise.all(names('b', 40).map((id) => queue.enqueue(submission(id, { account: 'b' }))))
    const accounts = (await claimAll(queue)).map((id) => id.charAt(0))
    expect(accounts.join('')).toBe('ab'.repeat(40))
  })

  it('gives what came back its old turn, whoever took it, and nobody an old one', async () => {
    const queue = fixture.queue({ leaseSeconds: 6, backoffSeconds: 1 })
    await enqueueAll(queue, 'a', 6)
    await enqueueAll(queue, 'b', 6)
    const released = await claimed(queue)
    const lost = await claimed(queue, 'runner-2')
    expect([released.requestId, lost.requestId]).toEqual(['a0', 'b0'])
    expect((await claimed(queue)).requestId).toBe('a1')
    await queue.release(released)
    await queue.withdraw('runner-2')
    fixture.pass(2)
    await enqueueAll(queue, 'late', 3)
    const restarted = fixture.queue()
    expect(await claimAll(restarted)).toEqual([
      'a0',
      'b0',
      'b1',
      'late0',
      'a2',
      'b2',
      'late1',
      'a3',
      'b3',
      'late2',
      'a4',
      'b4',
      'a5',
      'b5',
    ])
  })

  it('lets accounts take turns across the endpoints of a runner', async () => {
    const queue = fixture.queue()
    await enqueueAll(queue, 'a', 12)
    fixture.pass(1)
    await enqueueAll(queue, 'b', 2, { endpointId: OTHER })
    await enqueueAll(queue, 'c', 3, { endpointId: OTHER })
    const order = []
    for (let i = 0; i < 10; i++) {
      fixture.pass(1)
      order.push((await queue.claim('runner-1', BOTH, []))?.requestId)
    }
    expect(order).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4'])
  })

  it('lets what is warm overtake another account by its advantage, and no further', async () => {
    const queue = fixture.queue({ warmAdvantageSeconds: 10 })
    await enqueueAll(queue, 'a', 30, { endpointId: OTHER })
    await queue.enqueue(submission('b0', { account: 'b' }))
    const order = []
    for (let i = 0; i < 14; i++) {
      fixture.pass(1)
      order.push((await queue.claim('runner-1', BOTH, [OTHER]))?.requestId)
    }
    expect(order.indexOf('b0')).toBeGreaterThan(5)
    expect(order.indexOf('b0')).toBeLessThan(13)
  })

  function rows() {
    return fixture.database.read((query) => query.selectFrom('requests').selectAll().orderBy('seq').execute())
  }

  /** Has so many of account a wait, as if they had been submitted one after the other. */
  async function fill(count: number): Promise<void> {
    const now = Date.UTC(2026, 0, 1)
    const row = { kind: 'queue', state: 'queued', attempt: 0, accepted_at: now } as const
    await fixture.database.atomically('relaxed', async (query) => {
      for (const [turn, id] of names('a', count).entries()) {
        await query.insertInto('payloads').values({ request_id: id, input: '{}', output: null }).execute()
        const columns = submissionColumns(submission(id, { account: 'a' }))
        await query
          .insertInto('requests')
          .values({ ...columns, ...row, turn })
          .execute()
      }
    })
  }
}

const names = (account: string, count: number) => Array.from({ length: count }, (_, i) => `${account}${i}`)

async function enqueueAll(queue: RequestQueue, account: string, count: number, extra: Partial<Submission> = {}) {
  for (const id of names(account, count)) await queue.enqueue(submission(id, { account, ...extra }))
}

/** Claims all that wait. */
async function claimAll(queue: RequestQueue): Promise<string[]> {
  const order: string[] = []
  for (;;) {
    const claim = await queue.claim('runner-1', [ENDPOINT], [])
    if (claim === undefined) return order
    order.push(claim.requestId)
  }
}
