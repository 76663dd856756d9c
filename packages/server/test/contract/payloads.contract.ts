import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { PayloadErased } from '../../src/queue/request-queue.ts'
import type { QueueFixture } from './queue-fixture.ts'
import { claimed, DONE, ENDPOINT, submission, textsOf } from './queue-samples.ts'

/** A file of which no two parts are alike. */
function picture(seed: string, length: number): string {
  const parts = Array.from({ length: length / 64 }, (_, at) =>
    createHash('sha256').update(`${seed}${at}`).digest('hex'),
  )
  return `data:image/png;base64,${parts.join('')}`
}

const withPicture = (prompt: string, url: string) => `{"prompt":"${prompt}","image_url":"${url}","😀":1}`

/** How bodies of some length are kept, counted and let go. */
export function describePayloads(fixture: QueueFixture): void {
  const contents = () =>
    fixture.database.read((query) => query.selectFrom('payload_contents').select(['bytes', 'uses']).execute())
  const total = async () => (await contents()).reduce((sum, { bytes }) => sum + bytes, 0)

  it('gives long bodies back as they came, to who claims and who asks', async () => {
    const queue = fixture.queue()
    const input = `{"prompt":"${'😀'.repeat(400_000)}","image_url":"${picture('AbCd', 600_000)}"}`
    const body = JSON.stringify({ images: [{ url: picture('x', 300_000) }], prompt: 'ü'.repeat(10_000) })
    await queue.enqueue(submission('a', { input }))
    const claim = await claimed(queue)
    expect(claim.input).toBe(input)
    await queue.complete(claim, { ...DONE, body })
    expect(await textsOf(queue, 'a')).toEqual({ input, output: body })
    expect((await queue.get('a'))?.outcome?.body).toBe(body)
    const stored = await queue.payloads('a')
    expect([stored?.input?.bytes, stored?.output?.bytes]).toEqual([Buffer.byteLength(input), Buffer.byteLength(body)])
    let longest = 0
    for await (const piece of stored?.input?.read() ?? []) longest = Math.max(longest, piece.length)
    expect(longest).toBeLessThanOrEqual(256 * 1024)
  })

  it('stores a file once, in however many bodies it stands, until the last of them is gone', async () => {
    const queue = fixture.queue()
    const url = picture('0123', 1_000_000)
    const others = []
    for (const id of ['a', 'b', 'c']) {
      await queue.enqueue(submission(id, { input: withPicture(id.repeat(30), url) }))
      others.push(id)
    }
    const run = { acceptedAt: new Date(0), completedAt: new Date(0), outcome: DONE }
    await queue.record({ ...submission('run', { input: withPicture('run', url) }), ...run })
    const once = await total()
    expect(once).toBeLessThan(url.length + 1000)
    for (const id of others) {
      expect((await claimed(queue)).input).toBe(withPicture(id.repeat(30), url))
      await queue.complete({ requestId: id, attempt: 1 }, DONE)
    }
    for (const id of ['a', 'b', 'c']) expect(await queue.erasePayload(id)).toBe(true)
    expect(await textsOf(queue, 'run')).toEqual({ input: withPicture('run', url), output: DONE.body })
    expect(await total()).toBeGreaterThan(url.length)
    expect(await queue.erasePayload('run')).toBe(true)
    expect(await contents()).toEqual([])
  })

  it('counts a piece that a body holds twice as often as it is there', async () => {
    const queue = fixture.queue()
    const url = picture('7', 20_000)
    const input = JSON.stringify({ image_url: url, mask_url: url })
    const run = { acceptedAt: new Date(0), completedAt: new Date(0), outcome: DONE }
    await queue.record({ ...submission('twice', { input }), ...run })
    expect(await total()).toBeLessThan(21_000)
    expect(await textsOf(queue, 'twice')).toMatchObject({ input })
    await queue.erasePayload('twice')
    expect(await contents()).toEqual([])
  })

  it('says so where a body is erased while it is read', async () => {
    const queue = fixture.queue()
    const run = { acceptedAt: new Date(0), completedAt: new Date(0), outcome: DONE }
    await queue.record({ ...submission('a', { input: withPicture('a', picture('a', 600_000)) }), ...run })
    const reading = (await queue.payloads('a'))?.input?.read()[Symbol.asyncIterator]()
    await reading?.next()
    await queue.erasePayload('a')
    await expect(reading?.next()).rejects.toThrow(PayloadErased)
  })

  it('lets go of what is past its time', async () => {
    const queue = fixture.queue({ payloadRetentionSeconds: 10 })
    await queue.enqueue(submission('a', { input: withPicture('a', picture('a', 50_000)) }))
    await queue.complete(await claimed(queue), { ...DONE, body: withPicture('b', picture('b', 50_000)) })
    fixture.pass(11)
    await queue.sweep()
    expect(await contents()).toEqual([])
    expect(await queue.find('a')).toBeUndefined()
  })

  it('erases the oldest finished bodies beyond a budget, and nothing that waits or runs', async () => {
    const queue = fixture.queue()
    const size = 100_000
    const inputOf = (id: string) => withPicture(id, picture(id, size))
    for (const id of ['a', 'b', 'c']) {
      await queue.enqueue(submission(id, { input: inputOf(id) }))
      if (id === 'a') continue
      await queue.enqueue(submission(`${id}${id}`, { input: inputOf(`${id}${id}`), endpointId: 'fal-ai/lora' }))
    }
    await claimed(queue)
    const finish = async () => queue.complete(await claimed(queue), DONE)
    await finish()
    await finish()
    // a runs, b and c are finished, bb and cc wait.
    expect(await queue.trimPayloads(6 * size)).toBeGreaterThan(4.9 * size)
    expect(await textsOf(queue, 'b')).toEqual({ input: inputOf('b'), output: DONE.body })
    expect(await queue.trimPayloads(4 * size + 5000)).toBeLessThanOrEqual(4 * size + 5000)
    expect(await textsOf(queue, 'b')).toEqual({ input: 'null' })
    expect(await textsOf(queue, 'c')).toMatchObject({ input: inputOf('c') })
    expect(await queue.trimPayloads(0)).toBeGreaterThan(2.9 * size)
    for (const id of ['a', 'bb', 'cc']) expect((await textsOf(queue, id)).input).toBe(inputOf(id))
    expect((await queue.find('b'))?.state).toBe('completed')
    expect((await queue.list({ account: 'default', endpointId: ENDPOINT, limit: 9 })).requests).toHaveLength(3)
  })

  it('names what is too large to be recorded of a run by its size', async () => {
    const queue = fixture.queue({ maxRecordedCharacters: 100_000 })
    const input = withPicture('a', picture('a', 100_000))
    const run = { acceptedAt: new Date(0), completedAt: new Date(0), outcome: DONE }
    await queue.record({ ...submission('run', { input }), ...run })
    expect(await contents()).toEqual([])
    const stored = await queue.payloads('run')
    expect(stored?.input).toMatchObject({ bytes: Buffer.byteLength(input), isKept: false })
    expect(stored?.output).toMatchObject({ bytes: DONE.body.length, isKept: true })
  })
}
