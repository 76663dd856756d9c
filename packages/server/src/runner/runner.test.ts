import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { anyObject, createGate, echo, FAKE_ENDPOINTS, fakeFiles } from '../../test/fakes/fake-endpoints.ts'
import { SILENT_LOG } from '../../test/fakes/silent-log.ts'
import { openTestQueue, submission, type TestQueue } from '../../test/fakes/test-queue.ts'
import { runnable } from '../endpoints/endpoint.ts'
import type { RequestQueueOptions } from '../queue/options.ts'
import { type Runner, type RunnerOptions, startRunner } from './runner.ts'

const started: Runner[] = []
const queues: TestQueue[] = []

afterEach(async () => {
  for (const queue of queues) queue.isAway = false
  await Promise.all(started.splice(0).map((runner) => runner.drain(0)))
  await Promise.all(queues.splice(0).map((queue) => queue.close()))
})

async function openQueue(options: RequestQueueOptions = {}): Promise<TestQueue> {
  const queue = await openTestQueue(options)
  queues.push(queue)
  return queue
}

async function start(queue: TestQueue, options: Partial<RunnerOptions> = {}) {
  const defects: unknown[] = []
  const runner = await startRunner({
    queue,
    endpoints: FAKE_ENDPOINTS,
    ...anyObject,
    files: fakeFiles,
    log: { ...SILENT_LOG, error: (fields) => defects.push('err' in fields ? fields.err : undefined) },
    arithmetic: { device: 'cpu', precision: 'exact' },
    memoryBytes: 0,
    heartbeatMs: 10,
    logFlushMs: 1,
    ...options,
  })
  started.push(runner)
  return { runner, defects }
}

async function answer(queue: TestQueue, endpointId: string, input: unknown) {
  const requestId = randomUUID()
  await queue.enqueue(submission(requestId, endpointId, input))
  return { requestId, outcome: await queue.outcome(requestId) }
}

/** Files that arrive when the test says so, unless their request is over before. */
function slowPicture() {
  let arrive = () => {}
  let ask = () => {}
  let signal: AbortSignal | undefined
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const files: RunnerOptions['files'] = (request, requestSignal) => ({
    ...fakeFiles(request),
    async readFile() {
      signal = requestSignal
      ask()
      const over = new Promise<never>((_, reject) => {
        requestSignal.addEventListener('abort', () => reject(requestSignal.reason))
      })
      await Promise.race([arrived, over])
      return new Uint8Array(3)
    },
  })
  return { files, asked, arrive: () => arrive(), signal: () => signal }
}

describe('startRunner', () => {
  it('says in headers and log what draws nearly the same faster', async () => {
    const queue = await openQueue()
    const precision = 'fast: OpenVINO in bfloat16'
    await start(queue, { arithmetic: { device: 'cpu', precision } })
    const { requestId, outcome } = await answer(queue, 'fake/echo', '{"seed":1}')
    expect(outcome.headers).toMatchObject({ 'x-darkroom-device': 'cpu', 'x-darkroom-precision': precision })
    const messages = (await queue.logs(requestId)).map((entry) => entry.message)
    expect(messages[0]).toBe(`Precision: ${precision}`)
    expect(await queue.runners()).toMatchObject([{ device: 'cpu', precision }])
  })

  it('answers queued requests with what the handler returns, its headers and its time', async () => {
    const queue = await openQueue()
    const { runner } = await start(queue)
    const { outcome } = await answer(queue, 'fake/echo', '{"seed":12345678901234567890,"text":"Zürich"}')
    expect(outcome).toMatchObject({ status: 200, body: '{"seed":12345678901234567890,"text":"Zürich"}' })
    expect(outcome.headers).toEqual({
      'x-darkroom-device': 'cpu',
      'x-darkroom-model': 'echo',
      'x-darkroom-precision': 'exact',
      'x-fal-billable-units': '1',
      'x-fal-served-from': runner.runnerId,
    })
    expect(outcome.inferenceSeconds).toBeGreaterThanOrEqual(0)
  })

  it('has the weights of the next request read while it draws, and not those of what it draws', async () => {
    const queue = await openQueue()
    const gate = createGate()
    const read: unknown[] = []
    let sawNext = () => {}
    const seen = new Promise<void>((resolve) => {
      sawNext = resolve
    })
    const readWeightsAhead = async (input: unknown) => {
      read.push(input)
      sawNext()
    }
    await start(queue, { endpoints: [{ ...gate.endpoint, readWeightsAhead }], lookAheadMs: 1 })
    await queue.enqueue(submission('drawn', gate.endpoint.schema.id, { tag: 'drawn' }))
    await gate.entered
    await queue.enqueue(submission('next', gate.endpoint.schema.id, { tag: 'next' }))
    await seen
    gate.open()
    await Promise.all([queue.outcome('drawn'), queue.outcome('next')])
    expect(read).toEqual([{ tag: 'next' }])
  })

  it('answers without the members that have no value', async () => {
    const queue = await openQueue()
    await start(queue)
    const { outcome } = await answer(queue, 'fake/echo', { prompt: 'x', seed: null, size: [null, { tag: null }] })
    expect(outcome.body).toBe('{"prompt":"x","size":[null,{}]}')
  })

  it('writes every log entry before the request counts as completed', async () => {
    const queue = await openQueue()
    await start(queue, { logFlushMs: 60_000 })
    const { requestId } = await answer(queue, 'fake/steps', { steps: 3 })
    const messages = (await queue.logs(requestId)).map((entry) => entry.message)
    expect(messages).toEqual(['step 1 of 3', 'step 2 of 3', 'step 3 of 3'])
  })

  it('answers 422 for the model’s and the validation’s errors, 500 without internals for a defect', async () => {
    const queue = await openQueue()
    const { defects } = await start(queue)
    const refused = (await answer(queue, 'fake/refuse', { image_url: 'x' })).outcome
    expect(refused.status).toBe(422)
    expect(refused.headers['x-fal-billable-units']).toBe('0')
    expect(JSON.parse(refused.body).detail[0]).toMatchObject({ loc: ['body', 'image_url'], type: 'image_load_error' })
    expect((await answer(queue, 'fake/echo', '"text"')).outcome).toMatchObject({ status: 422 })
    const broken = (await answer(queue, 'fake/broken', {})).outcome
    expect(broken.status).toBe(500)
    expect(JSON.parse(broken.body).detail).toBe('Internal Server Error')
    expect(broken.body).not.toContain('secret')
    expect(defects).toHaveLength(1)
  })

  it('leaves it to the queue whether a 503 is tried again', async () => {
    const queue = await openQueue({ backoffSeconds: 0.001 })
    await start(queue, { checkQueueMs: 5 })
    await queue.enqueue(submission('r', 'fake/unavailable', {}))
    await expect.poll(async () => (await queue.get('r'))?.attempt).toBeGreaterThan(2)
    expect((await queue.get('r'))?.outcome).toBeUndefined()
  })

  it('stops a running request that was cancelled: 499', async () => {
    const queue = await openQueue()
    await start(queue)
    await queue.enqueue(submission('r', 'fake/steps', { steps: 1_000_000 }))
    await queue.cancel('r')
    const outcome = await queue.outcome('r')
    expect(outcome.status).toBe(499)
    expect(outcome.error?.type).toBe('client_cancelled')
  })

  it('keeps the result of a handler that ignores a cancel', async () => {
    const queue = await openQueue()
    await start(queue)
    await queue.enqueue(submission('r', 'fake/deaf', { ms: 50 }))
    await queue.cancel('r')
    expect(await queue.outcome('r')).toMatchObject({ status: 200, body: '{"finished":true}' })
  })

  it('ends a request at its run timeout: 504', async () => {
    const queue = await openQueue()
    await start(queue)
    await queue.enqueue({ ...submission('r', 'fake/steps', { steps: 1_000_000 }), runTimeoutSeconds: 0.02 })
    expect(await queue.outcome('r')).toMatchObject({ status: 504, error: { type: 'request_timeout' } })
  })

  it('lets others draw while a picture is fetched slowly, and draws with it when it is here', async () => {
    const queue = await openQueue()
    const picture = slowPicture()
    await start(queue, { files: picture.files, patienceMs: 1 })
    await queue.enqueue(submission('slow', 'fake/read', { image_url: 'https://slow.example/a.png' }))
    await picture.asked
    expect((await answer(queue, 'fake/echo', { tag: 1 })).outcome.status).toBe(200)
    expect((await queue.get('slow'))?.outcome).toBeUndefined()
    picture.arrive()
    expect(await queue.outcome('slow')).toMatchObject({ status: 200, body: '{"size":3}' })
  })

  it('ends a request that is here and does not get the device within the start deadline', async () => {
    const queue = await openQueue()
    const picture = slowPicture()
    const gate = createGate()
    const claim: TestQueue['claim'] = async (...offer) => {
      const claimed = await queue.claim(...offer)
      return claimed?.startTimeoutSeconds === undefined ? claimed : { ...claimed, startWithinMs: 1 }
    }
    const hurried: TestQueue = Object.assign(Object.create(queue), { claim })
    await start(hurried, { files: picture.files, patienceMs: 1, endpoints: [...FAKE_ENDPOINTS, gate.endpoint] })
    await queue.enqueue({ ...submission('late', 'fake/read', { image_url: 'x' }), startTimeoutSeconds: 600 })
    await picture.asked
    await queue.enqueue(submission('drawing', 'fake/gate', {}))
    await gate.entered
    picture.arrive()
    expect(await queue.outcome('late')).toMatchObject({
      status: 504,
      headers: { 'x-fal-request-timeout-type': 'user', 'x-fal-error-type': 'request_timeout' },
      error: { message: 'The request did not start within 600 seconds', type: 'request_timeout' },
    })
    gate.open()
    expect(await queue.outcome('drawing')).toMatchObject({ status: 200 })
  })

  it('says in the log of a request that is ready that it waits for the device', async () => {
    const queue = await openQueue()
    const picture = slowPicture()
    const gate = createGate()
    await start(queue, { files: picture.files, patienceMs: 1, endpoints: [...FAKE_ENDPOINTS, gate.endpoint] })
    await queue.enqueue(submission('ready', 'fake/read', { image_url: 'x' }))
    await picture.asked
    await queue.enqueue(submission('drawing', 'fake/gate', {}))
    await gate.entered
    picture.arrive()
    const messages = async (requestId: string) => (await queue.logs(requestId)).map(({ message }) => message)
    await vi.waitFor(async () => expect(await messages('ready')).toEqual(['Ready, waiting for the device']), {
      timeout: 10_000,
    })
    gate.open()
    expect(await queue.outcome('ready')).toMatchObject({ status: 200 })
    expect(await messages('drawing')).toEqual([])
  })

  it('ends the fetch of a request that is cancelled', async () => {
    const queue = await openQueue()
    const picture = slowPicture()
    await start(queue, { files: picture.files })
    await queue.enqueue(submission('slow', 'fake/read', { image_url: 'https://slow.example/a.png' }))
    await picture.asked
    await queue.cancel('slow')
    expect(await queue.outcome('slow')).toMatchObject({ status: 499, error: { type: 'client_cancelled' } })
    expect(picture.signal()?.aborted).toBe(true)
  })

  it('takes a handler that reads a file while it draws for a defect', async () => {
    const queue = await openQueue()
    const reading = runnable(echo.schema, async function* (_, context) {
      yield* []
      return { size: (await context.readFile('https://slow.example/a.png', [])).byteLength }
    })
    const { defects } = await start(queue, { endpoints: [reading] })
    expect((await answer(queue, 'fake/echo', {})).outcome.status).toBe(500)
    expect(String(defects[0])).toContain('while its request draws')
  })

  it('answers for a handler that does not stop, and asks for the process to be replaced', async () => {
    const queue = await openQueue()
    const stuck: string[] = []
    const onStuck = (endpointId: string) => void stuck.push(endpointId)
    const { runner } = await start(queue, { abortGraceSeconds: 0.01, runTimeoutSeconds: 0.01, onStuck })
    expect((await answer(queue, 'fake/hang', {})).outcome.status).toBe(504)
    expect(stuck).toEqual(['fake/hang'])
    // What is claimed by a process that is about to end would be lost with it.
    await queue.enqueue(submission('next', 'fake/echo', {}))
    runner.wake()
    await runner.drain(0)
    expect(await queue.get('next')).toMatchObject({ state: 'queued', attempt: 0 })
  })

  it('renews its leases while it works', async () => {
    const queue = await openQueue({ leaseSeconds: 0.1 })
    await start(queue)
    await queue.enqueue(submission('r', 'fake/deaf', { ms: 400 }))
    const reaper = setInterval(() => void queue.reap(), 20)
    await queue.outcome('r')
    clearInterval(reaper)
    expect((await queue.get('r'))?.attempt).toBe(1)
  })

  it('stores a result that it could not store at first', async () => {
    const queue = await openQueue({ leaseSeconds: 60 })
    await start(queue)
    await queue.enqueue(submission('r', 'fake/deaf', { ms: 30 }))
    await new Promise((resolve) => setTimeout(resolve, 5))
    queue.isAway = true
    setTimeout(() => {
      queue.isAway = false
    }, 150)
    expect(await queue.outcome('r')).toMatchObject({ status: 200 })
  })

  it('finishes what it holds in a drain, and claims nothing new', async () => {
    const queue = await openQueue()
    const { runner } = await start(queue)
    await queue.enqueue(submission('held', 'fake/deaf', { ms: 50 }))
    await queue.enqueue(submission('waiting', 'fake/deaf', { ms: 50 }))
    await runner.drain(10)
    expect(await queue.get('held')).toMatchObject({ state: 'completed', outcome: { status: 200 } })
    expect(await queue.get('waiting')).toMatchObject({ state: 'queued', attempt: 0 })
    expect(await queue.runners()).toEqual([])
  })

  it('hands back what a drain leaves no time for, and never completes it later', async () => {
    const queue = await openQueue()
    const gate = createGate()
    const { runner } = await start(queue, { endpoints: [gate.endpoint] })
    await queue.enqueue(submission('r', 'fake/gate', {}))
    await gate.entered
    await runner.drain(0.01)
    expect(await queue.get('r')).toMatchObject({ state: 'queued', attempt: 1 })
    gate.open()
    const next = await start(queue, { endpoints: [gate.endpoint] })
    expect((await queue.outcome('r')).headers['x-fal-served-from']).toBe(next.runner.runnerId)
  })

  it('advertises itself with its endpoints, aliases included', async () => {
    const queue = await openQueue()
    const { runner } = await start(queue, { capacity: 3, warm: () => ['fake/echo'] })
    const [advertisement] = await queue.runners()
    expect(advertisement).toMatchObject({ runnerId: runner.runnerId, address: runner.address, capacity: 3, busy: 0 })
    expect(advertisement?.endpointIds).toContain('fake/legacy-picture')
    expect(advertisement?.warm).toEqual(['fake/echo'])
  })
})
