import { createHash, webcrypto } from 'node:crypto'
import { importJWK } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storedSetting } from '../../src/db/stored-setting.ts'
import { jwksRoutes } from '../../src/gateway/routes/jwks.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import { OutboundHttp } from '../../src/security/outbound-http.ts'
import { loadSigningKey, type SigningKey } from '../../src/webhooks/signature.ts'
import { type DeliveryOptions, WebhookDeliverer } from '../../src/webhooks/webhook-deliverer.ts'
import { type BusyReceivers, type LeasedDelivery, WebhookOutbox } from '../../src/webhooks/webhook-outbox.ts'
import { SILENT_LOG } from '../fakes/silent-log.ts'
import { BACKENDS, clear, type Opened } from './backends.ts'
import { claimed, DONE, submission } from './queue-samples.ts'
import { type ReceivedWebhook, WebhookReceiver } from './webhook-receiver.ts'

const LEASE = { firstAttempt: 45, laterAttempts: 150 }
const NOBODY_BUSY: BusyReceivers = { accounts: [], hosts: [] }
const FAST: Partial<DeliveryOptions> = { pollSeconds: 0.01, baseDelaySeconds: 0.01, maxDelaySeconds: 0.02 }

describe.each(BACKENDS)('webhooks on $name', (backend) => {
  let opened: Opened
  let key: SigningKey
  let receiver: WebhookReceiver
  let outbox: WebhookOutbox
  const deliverers: WebhookDeliverer[] = []
  const http = new OutboundHttp({ allowPrivateTargets: true })

  beforeAll(async () => {
    opened = await backend.open()
  }, 120_000) // PGlite's first start takes 4 s of a core, more on a busy machine.
  beforeEach(async () => {
    await clear(opened.database)
    key = await loadSigningKey(opened.database)
    outbox = new WebhookOutbox(opened.database)
    receiver = new WebhookReceiver()
    await receiver.listen()
  })
  afterEach(async () => {
    for (const deliverer of deliverers.splice(0)) await deliverer.stop(0)
    await receiver.close()
  })
  afterAll(async () => {
    await http.close()
    await opened.close()
  })

  /** Completes one request per id, each with a webhook. */
  async function complete(
    ids: readonly string[],
    url = receiver.url,
    owner: { readonly keyId?: string; readonly account?: string } = {},
  ): Promise<void> {
    const queue = createRequestQueue(opened.database)
    for (const id of ids) {
      await queue.enqueue(submission(id, { webhookUrl: url, ...owner }))
      expect(await queue.complete(await claimed(queue), DONE)).toBe(true)
    }
    await queue.close()
  }

  function deliver(options: Partial<DeliveryOptions> = {}, from = outbox): WebhookDeliverer {
    const deliverer = new WebhookDeliverer({ outbox: from, http, key, log: SILENT_LOG }, { ...FAST, ...options })
    deliverers.push(deliverer)
    deliverer.start()
    return deliverer
  }

  async function leaseUpTo(most: number, from = outbox, busy = NOBODY_BUSY): Promise<LeasedDelivery[]> {
    const leased: LeasedDelivery[] = []
    while (leased.length < most) {
      const delivery = await from.lease(LEASE, busy)
      if (delivery === undefined) break
      leased.push(delivery)
    }
    return leased
  }

  async function recordOf(id: string) {
    const [record] = await outbox.deliveriesOf(id)
    if (record === undefined) throw new Error(`${id} has no webhook`)
    return record
  }

  /** Waits until no webhook of these requests is pending. */
  async function settled(ids: readonly string[]) {
    return expect.poll(() => Promise.all(ids.map(async (id) => (await recordOf(id)).state)), { timeout: 15_000 })
  }

  it('delivers what completing recorded, signed so that the JWKS alone verifies it', async () => {
    await complete(['r1'], receiver.url, { keyId: 'ann' })
    deliver()
    await (await settled(['r1'])).toEqual(['delivered'])
    const [message, ...more] = receiver.received
    expect(more).toEqual([])
    expect(message?.url).toBe('/hook?secret=1')
    expect(message?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-fal-webhook-request-id': 'r1',
      'x-fal-webhook-user-id': 'ann',
    })
    expect(message?.headers['webhook-signature']).toBeUndefined()
    expect(String(message?.body)).toContain('"payload":{"seed":18446744073709551615}')
    const jwks = await jwksRoutes([key.publicJwk]).request('/.well-known/jwks.json')
    const { keys } = (await jwks.json()) as { keys: [Record<string, string>] }
    expect(Object.keys(keys[0]).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    expect(message && (await verifies(message, keys[0]))).toBe(true)
    expect(message && (await verifies({ ...message, body: Buffer.from('{}') }, keys[0]))).toBe(false)
    const record = await recordOf('r1')
    expect(record).toMatchObject({ attempts: 1, last_status: 200, last_error: null, lease_until: null })
    // Kept with the request alone, where a budget counts it and its owner can erase it.
    expect(record.payload).toBe('')
    expect(record.delivered_at).toBeGreaterThanOrEqual(record.created_at)
  })

  it('starts at once when a request completes, without waiting for the next look', async () => {
    const queue = createRequestQueue(opened.database)
    const deliverer = deliver({ pollSeconds: 3600 })
    const stop = queue.onWebhook(() => deliverer.wake())
    await queue.enqueue(submission('r1', { webhookUrl: receiver.url }))
    await queue.complete(await claimed(queue), DONE)
    await (await settled(['r1'])).toEqual(['delivered'])
    stop()
    await queue.close()
  })

  it('reaches a receiver that was down once it is up again, once each', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `r${i}`)
    await receiver.close()
    await complete(ids)
    for (let i = 0; i < 3; i++) deliver({ concurrency: 3 }, new WebhookOutbox(opened.database))
    await expect.poll(async () => (await recordOf('r19')).attempts, { timeout: 15_000 }).toBeGreaterThan(0)
    expect((await recordOf('r19')).last_error ?? 'network').toMatch(/^network/)
    await receiver.listen()
    await (await settled(ids)).toEqual(ids.map(() => 'delivered'))
    expect(receiver.received.map((message) => message.headers['x-fal-webhook-request-id']).toSorted()).toEqual(
      ids.toSorted(),
    )
  })

  it('tries again until the receiver says 2xx, and waits as long as it asks', async () => {
    const statuses = [500, 404, 429, 204]
    receiver.answer = () => {
      const status = statuses.shift() ?? 599
      return { status, headers: status === 429 ? { 'retry-after': '100' } : {} }
    }
    let now = Date.now()
    const clocked = new WebhookOutbox(opened.database, () => new Date(now))
    await complete(['r1'])
    now += 1000
    deliver({}, clocked)
    const attempts = async () => (await recordOf('r1')).attempts
    for (let attempt = 1; attempt <= 3; attempt++) {
      await expect.poll(attempts, { timeout: 15_000 }).toBe(attempt)
      await expect.poll(async () => (await recordOf('r1')).lease_until, { timeout: 15_000 }).toBeNull()
      if (attempt < 3) now += 1000
    }
    expect(await recordOf('r1')).toMatchObject({ last_status: 429, next_attempt_at: now + 100_000 })
    now += 99_000
    expect(await leaseUpTo(8, clocked)).toEqual([])
    now += 2000
    await (await settled(['r1'])).toEqual(['delivered'])
    expect(receiver.received).toHaveLength(4)
  })

  it('gives up on redirects and on targets that the policy refuses, without a second attempt', async () => {
    receiver.answer = () => ({ status: 302, headers: { location: receiver.url } })
    await complete(['redirect'])
    await complete(['metadata'], 'http://169.254.169.254/latest')
    await complete(['scheme'], 'file:///etc/passwd')
    await complete(['nonsense'], 'nonsense')
    deliver()
    const ids = ['redirect', 'metadata', 'scheme', 'nonsense']
    await (await settled(ids)).toEqual(ids.map(() => 'failed'))
    const records = await Promise.all(ids.map(recordOf))
    expect(records.map(({ attempts, last_status }) => [attempts, last_status])).toEqual([
      [1, 302],
      [1, null],
      [1, null],
      [1, null],
    ])
    expect(records[1]?.last_error).toMatch(/^blocked: /)
    expect(receiver.received).toHaveLength(1)
  })

  it('gives up after the last attempt, and on silence after the timeout', async () => {
    receiver.answer = () => 'silence'
    await complete(['r1'])
    // Long enough for a busy machine to let the request arrive before it is given up.
    deliver({ maxAttempts: 2, firstTimeoutSeconds: 0.5, laterTimeoutSeconds: 0.5 })
    await (await settled(['r1'])).toEqual(['failed'])
    expect((await recordOf('r1')).payload).toBe('')
    expect(await recordOf('r1')).toMatchObject({ attempts: 2, last_error: expect.stringMatching(/^timeout: /) })
    expect(receiver.received).toHaveLength(2)
  })

  it('takes over at once what the dead held, where it is the only one to deliver', async () => {
    await complete(['r1', 'r2'])
    const dead = await leaseUpTo(1)
    expect(await leaseUpTo(8)).toHaveLength(1)
    await outbox.takeOver()
    const fresh = await leaseUpTo(8)
    expect(fresh.map(({ attempt }) => attempt)).toEqual([2, 2])
    expect(await outbox.delivered(dead[0] as LeasedDelivery, { status: 200 })).toBe(false)
  })

  it('passes over accounts and hosts that have their share, whoever has waited longest', async () => {
    await complete(['slow1', 'slow2'], 'http://slow.test:81/hook')
    await complete(['other'], 'http://slow.test:82/hook')
    expect(await leaseUpTo(8, outbox, { accounts: ['default'], hosts: [] })).toEqual([])
    const passing = await leaseUpTo(8, outbox, { accounts: [], hosts: ['slow.test:81'] })
    expect(passing.map(({ requestId, host, account }) => [requestId, host, account])).toEqual([
      ['other', 'slow.test:82', 'default'],
    ])
    expect((await leaseUpTo(8)).map(({ requestId }) => requestId).toSorted()).toEqual(['slow1', 'slow2'])
  })

  it('lets accounts take turns, however much one of them has due before', async () => {
    await complete(['greedy1', 'greedy2', 'greedy3'], receiver.url, { account: 'greedy' })
    await complete(['honest'], receiver.url, { account: 'honest' })
    const order = (await leaseUpTo(8)).map(({ requestId }) => requestId)
    expect(order.slice(0, 2).toSorted()).toEqual(['greedy1', 'honest'])
    expect(order.slice(2)).toEqual(['greedy2', 'greedy3'])
  })

  it('comes to every host of an account that names more than are looked at', async () => {
    const ids = Array.from({ length: 150 }, (_, i) => `r${i}`)
    for (const [i, id] of ids.entries()) await complete([id], `http://host${i}.test/hook`)
    expect((await leaseUpTo(200)).map(({ requestId }) => requestId).toSorted()).toEqual(ids.toSorted())
    // The hosts of an account that are not due keep none behind them from their turn.
    await complete(['last'], 'http://z.test/hook')
    expect((await leaseUpTo(8)).map(({ requestId }) => requestId)).toEqual(['last'])
  })

  it('hands each delivery to one of several who ask at the same time', async () => {
    const ids = Array.from({ length: 12 }, (_, i) => `r${i}`)
    await complete(ids)
    const all = await Promise.all([1, 2, 3].map(() => leaseUpTo(8, new WebhookOutbox(opened.database))))
    expect(
      all
        .flat()
        .map(({ requestId }) => requestId)
        .toSorted(),
    ).toEqual(ids.toSorted())
  })

  it('lets a receiver that never answers keep its own deliveries waiting, and no other', async () => {
    const silent = new WebhookReceiver()
    await silent.listen()
    silent.answer = () => 'silence'
    const slow = Array.from({ length: 12 }, (_, i) => `slow${i}`)
    await complete(slow, silent.url)
    await complete(['quick'])
    deliver({ concurrency: 4, perHost: 3, perAccount: 4, firstTimeoutSeconds: 60 })
    await (await settled(['quick'])).toEqual(['delivered'])
    expect(silent.received.length).toBeLessThanOrEqual(3)
    for (const deliverer of deliverers.splice(0)) await deliverer.stop(0)
    await silent.close()
  })

  it('sends again after a crash between sending and recording, when the lease is over', async () => {
    class Crashing extends WebhookOutbox {
      override async delivered(): Promise<boolean> {
        throw new Error('the process is gone')
      }
    }
    let now = Date.now()
    const clock = () => new Date(now)
    await complete(['r1'])
    now += 1000
    const crashed = deliver({}, new Crashing(opened.database, clock))
    await expect.poll(() => receiver.received.length, { timeout: 15_000 }).toBe(1)
    await crashed.stop()
    const survivor = new WebhookOutbox(opened.database, clock)
    expect(await leaseUpTo(8, survivor)).toEqual([])
    now += 46_000
    deliver({}, survivor)
    await (await settled(['r1'])).toEqual(['delivered'])
    expect(receiver.received).toHaveLength(2)
  })

  it('lets nobody but the last lessee record a result', async () => {
    let now = Date.now()
    const clocked = new WebhookOutbox(opened.database, () => new Date(now))
    await complete(['r1', 'r2', 'r3'])
    now += 1000
    const old = await leaseUpTo(2, clocked)
    expect(old.map((delivery) => delivery.requestId).toSorted()).toEqual(['r1', 'r2'])
    expect((await leaseUpTo(8, clocked)).map((delivery) => delivery.requestId)).toEqual(['r3'])
    now += 46_000
    const fresh = await leaseUpTo(8, clocked)
    expect(fresh.map((delivery) => delivery.attempt)).toEqual([2, 2, 2])
    const [first] = old as [LeasedDelivery]
    expect(await clocked.failed(first, {})).toBe(false)
    expect(await clocked.delivered(fresh.find(({ id }) => id === first.id) ?? first, { status: 200 })).toBe(true)
    expect(await clocked.retry(first, {}, 0)).toBe(false)
    expect((await recordOf(first.requestId)).state).toBe('delivered')
  })

  it('goes on when the database was away, and says so once', async () => {
    let away = true
    class Unsteady extends WebhookOutbox {
      override async lease(...offer: Parameters<WebhookOutbox['lease']>) {
        if (away) throw new Error('the database is away')
        return super.lease(...offer)
      }
    }
    await complete(['r1'])
    const warnings: string[] = []
    const log = { ...SILENT_LOG, warn: (_: object, message: string) => warnings.push(message) }
    const deliverer = new WebhookDeliverer({ outbox: new Unsteady(opened.database), http, key, log }, FAST)
    deliverers.push(deliverer)
    let looks = 0
    deliverer.start()
    await expect.poll(() => looks++, { interval: 20, timeout: 15_000 }).toBeGreaterThan(5)
    away = false
    await (await settled(['r1'])).toEqual(['delivered'])
    expect(warnings).toEqual(['webhooks cannot be read from the database; trying again'])
  })

  it('makes one key, whoever asks and however many at once', async () => {
    const keys = await Promise.all([1, 2, 3, 4].map(() => loadSigningKey(opened.database)))
    expect(new Set(keys.map(({ publicJwk }) => publicJwk.x))).toEqual(new Set([key.publicJwk.x]))
    let made = 0
    const values = await Promise.all(
      [1, 2, 3].map(() => storedSetting(opened.database, 'new', () => `value ${made++}`)),
    )
    expect(new Set(values).size).toBe(1)
    expect(await storedSetting(opened.database, 'new', () => 'other')).toBe(values[0])
  })
})

/** As a receiver would: from the headers, the raw body and a JWK, with WebCrypto. */
async function verifies({ headers, body }: ReceivedWebhook, jwk: Record<string, string>): Promise<boolean> {
  const field = (name: string) => String(headers[`x-fal-webhook-${name}`])
  expect(Math.abs(Date.now() / 1000 - Number(field('timestamp')))).toBeLessThan(300)
  const digest = createHash('sha256').update(body).digest('hex')
  const message = [field('request-id'), field('user-id'), field('timestamp'), digest].join('\n')
  const publicKey = (await importJWK(jwk, 'EdDSA')) as webcrypto.CryptoKey
  return webcrypto.subtle.verify('Ed25519', publicKey, Buffer.from(field('signature'), 'hex'), Buffer.from(message))
}
