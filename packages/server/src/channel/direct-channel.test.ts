import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { anyObject, createGate, FAKE_ENDPOINTS, fakeFiles } from '../../test/fakes/fake-endpoints.ts'
import { SILENT_LOG } from '../../test/fakes/silent-log.ts'
import { openTestQueue, type TestQueue } from '../../test/fakes/test-queue.ts'
import { type Runner, type RunnerOptions, startRunner } from '../runner/runner.ts'
import { createDirectChannel, type DirectChannelOptions } from './channel-client.ts'
import { createChannelServer } from './channel-server.ts'
import type { ChannelEvent, ConversationOptions, DirectChannel } from './direct-channel.ts'

const toClose: (() => Promise<void>)[] = []

/** Of one test: its file is gone afterwards. */
const queues: TestQueue[] = []

afterEach(async () => {
  await Promise.all(toClose.splice(0).map((close) => close()))
  await Promise.all(queues.splice(0).map((queue) => queue.close()))
})

async function openQueue(): Promise<TestQueue> {
  const queue = await openTestQueue()
  queues.push(queue)
  return queue
}

async function startFakeRunner(queue: TestQueue, options: Partial<RunnerOptions> = {}): Promise<Runner> {
  const runner = await startRunner({
    queue,
    endpoints: FAKE_ENDPOINTS,
    ...anyObject,
    files: fakeFiles,
    log: SILENT_LOG,
    arithmetic: { device: 'cpu', precision: 'exact' },
    memoryBytes: 0,
    ...options,
  })
  toClose.push(() => runner.drain(0))
  return runner
}

function channelOver(queue: TestQueue, options: Partial<DirectChannelOptions> = {}): DirectChannel {
  const channel = createDirectChannel({ queue, ...options })
  toClose.push(() => channel.close())
  return channel
}

function conversation(endpointId: string, options: Partial<ConversationOptions> = {}): ConversationOptions {
  return {
    requestId: 'r',
    endpointId,
    account: 'default',
    filesUrl: 'http://files.test/cdn',
    streaming: false,
    inlineBytes: false,
    ...options,
  }
}

const NEVER = new AbortController().signal

async function send(channel: DirectChannel, options: ConversationOptions, input: unknown, signal = NEVER) {
  const opened = await channel.open(options)
  const events: ChannelEvent[] = []
  for await (const event of opened.send(input, signal)) events.push(event)
  opened.close()
  return events
}

describe('the direct channel', () => {
  it('carries long texts and byte strings in pieces, in whatever they stand', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const text = '🗺a'.repeat(400_000)
    const bytes = new Uint8Array(700_000).map((_, i) => i)
    const input = { text, bytes, list: [{ text: `${text}!` }], short: 'a' }
    const events = await send(channelOver(queue), conversation('fake/echo'), input)
    expect(events.at(-1)).toMatchObject({ type: 'result', status: 200 })
    const { output } = events.at(-1) as { readonly output: typeof input }
    expect(output).toEqual(input)
    expect(output.bytes.constructor).toBe(Uint8Array)
  })

  it('forgets the pieces of an input whose client leaves on the way, and goes on', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    const opened = await channel.open(conversation('fake/echo'))
    const leaving = new AbortController()
    const left = opened
      .send({ text: 'a'.repeat(20_000_000) }, leaving.signal)
      [Symbol.asyncIterator]()
      .next()
    await new Promise((resolve) => setImmediate(resolve))
    leaving.abort()
    await expect(left).rejects.toMatchObject({ errorType: 'client_cancelled' })
    opened.close()
    expect(await send(channel, conversation('fake/echo'), { text: 'b' })).toContainEqual(
      expect.objectContaining({ type: 'result', output: { text: 'b' } }),
    )
  })

  it('carries an input to a runner and every value of its output back unchanged', async () => {
    const queue = await openQueue()
    const runner = await startFakeRunner(queue)
    const input = {
      huge: 10n ** 40n,
      seed: 18446744073709551615n,
      safe: 2 ** 40,
      fraction: 0.1,
      bytes: Uint8Array.of(0, 255),
      text: 'Zürich 🗺️',
      list: [1, null, [2, { three: 3 }]],
    }
    const events = await send(channelOver(queue), conversation('fake/echo'), input)
    expect(events.map((event) => event.type)).toEqual(['started', 'result'])
    expect(events.at(-1)).toMatchObject({ status: 200, output: input })
    expect(events.at(-1)).toMatchObject({
      headers: { 'x-fal-served-from': runner.runnerId, 'x-darkroom-model': 'echo' },
    })
  })

  it('ignores a key that MessagePack refuses, and refuses nesting that no endpoint has', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    const events = await send(channel, conversation('fake/echo'), { a: JSON.parse('{"__proto__":{"x":1},"b":2}') })
    expect(events.at(-1)).toMatchObject({ status: 200, output: { a: { b: 2 } } })
    const deep = JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`)
    await expect(send(channel, conversation('fake/echo'), deep)).rejects.toMatchObject({ status: 422 })
  })

  it('brings logs, partial outputs where they are wanted, and the result last', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    const streamed = await send(channel, conversation('fake/steps', { streaming: true }), { steps: 2 })
    expect(streamed.map((event) => event.type)).toEqual(['started', 'log', 'partial', 'log', 'partial', 'result'])
    const plain = await send(channel, conversation('fake/steps'), { steps: 2 })
    expect(plain.map((event) => event.type)).toEqual(['started', 'log', 'log', 'result'])
  })

  it('drops older partial outputs for a slow reader, never the result, and does not hold up the runner', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const opened = await channelOver(queue).open(conversation('fake/steps', { streaming: true }))
    const events: ChannelEvent[] = []
    const iterator = opened.send({ steps: 200, ms: 0 }, NEVER)[Symbol.asyncIterator]()
    // The second send of a conversation starts when the first is done: its answer says that the first was not held up.
    for await (const _ of opened.send({ steps: 0 }, NEVER)) void _
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) events.push(next.value)
    const partials = events.filter((event) => event.type === 'partial')
    expect(partials.length).toBeLessThan(20)
    expect(partials.at(-1)).toEqual({ type: 'partial', output: { step: 200 } })
    expect(events.at(-1)).toMatchObject({ type: 'result', output: { done: 200 } })
  })

  it('answers errors as results', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    expect((await send(channel, conversation('fake/refuse'), {})).at(-1)).toMatchObject({
      type: 'result',
      status: 422,
      headers: { 'x-fal-billable-units': '0' },
    })
    expect((await send(channel, conversation('fake/broken'), {})).at(-1)).toMatchObject({ status: 500 })
  })

  it('works on a conversation’s inputs in order, on several conversations at a time', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue, { capacity: 2 })
    const channel = channelOver(queue)
    const finished: string[] = []
    const run = async (opened: Awaited<ReturnType<DirectChannel['open']>>, tag: string, ms: number) => {
      for await (const event of opened.send({ steps: 1, ms, tag }, NEVER))
        if (event.type === 'result') finished.push(tag)
    }
    const [slow, quick] = await Promise.all([
      channel.open(conversation('fake/steps')),
      channel.open(conversation('fake/steps')),
    ])
    await Promise.all([run(slow, 'slow 1', 60), run(slow, 'slow 2', 1), run(quick, 'quick', 1)])
    expect(finished).toEqual(['quick', 'slow 1', 'slow 2'])
  })

  it('cancels the work when its signal aborts, and tells the reader at once', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    const controller = new AbortController()
    const cancelled = send(channel, conversation('fake/steps'), { steps: 1_000_000, ms: 5 }, controller.signal)
    setTimeout(() => controller.abort(), 30)
    await expect(cancelled).rejects.toMatchObject({ status: 499, errorType: 'client_cancelled' })
    // The only slot is free again, so the handler did stop.
    expect((await send(channel, conversation('fake/echo'), {})).at(-1)).toMatchObject({ status: 200 })
  })

  it('cancels the work when the reader leaves', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    const opened = await channel.open(conversation('fake/steps', { streaming: true }))
    for await (const event of opened.send({ steps: 1_000_000, ms: 5 }, NEVER)) if (event.type === 'partial') break
    expect((await send(channel, conversation('fake/echo'), {})).at(-1)).toMatchObject({ status: 200 })
  })

  it('ends the call with 504 when the work did not start in time, and leaves the running work alone', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const channel = channelOver(queue)
    const first = send(channel, conversation('fake/deaf'), { ms: 150 })
    await expect(send(channel, conversation('fake/echo', { startTimeoutSeconds: 0.03 }), {})).rejects.toMatchObject({
      status: 504,
      errorType: 'request_timeout',
      headers: { 'x-fal-request-timeout-type': 'user' },
    })
    expect((await first).at(-1)).toMatchObject({ status: 200 })
  })

  it('leaves work alone that started in time', async () => {
    const queue = await openQueue()
    await startFakeRunner(queue)
    const events = await send(channelOver(queue), conversation('fake/deaf', { startTimeoutSeconds: 2 }), { ms: 2100 })
    expect(events.at(-1)).toMatchObject({ type: 'result', status: 200 })
  })

  it('ends the call with 503 when the runner goes away mid-work, and finds the next runner', async () => {
    const queue = await openQueue()
    const runner = await startFakeRunner(queue)
    const channel = channelOver(queue)
    const opened = await channel.open(conversation('fake/hang'))
    const iterator = opened.send({}, NEVER)[Symbol.asyncIterator]()
    await iterator.next()
    await runner.drain(0)
    await expect(iterator.next()).rejects.toMatchObject({ status: 503, errorType: 'runner_disconnected' })
    await opened.closed
    const next = await startFakeRunner(queue)
    const events = await send(channel, conversation('fake/echo'), {})
    expect(events.at(-1)).toMatchObject({ headers: { 'x-fal-served-from': next.runnerId } })
  })

  it('lets a draining runner finish, and sends new work elsewhere', async () => {
    const gate = createGate()
    const queue = await openQueue()
    const leaving = await startFakeRunner(queue, { endpoints: [gate.endpoint] })
    const channel = channelOver(queue)
    const held = await channel.open(conversation('fake/gate'))
    const iterator = held.send({ tag: 'held' }, NEVER)[Symbol.asyncIterator]()
    await gate.entered
    const drained = leaving.drain(10)
    await held.closed
    const staying = await startFakeRunner(queue)
    expect((await send(channel, conversation('fake/echo'), {})).at(-1)).toMatchObject({
      headers: { 'x-fal-served-from': staying.runnerId },
    })
    gate.open()
    expect((await iterator.next()).value).toMatchObject({ type: 'started' })
    expect((await iterator.next()).value).toMatchObject({ type: 'result', status: 200, output: { tag: 'held' } })
    await drained
  })

  it('waits for a runner that is still starting; without one it answers 503, or 504 at the caller’s deadline', async () => {
    const queue = await openQueue()
    const channel = channelOver(queue, { runnerWaitSeconds: 0.05, endpointExists: (id) => id !== 'fake/unknown' })
    await expect(channel.open(conversation('fake/unknown'))).rejects.toMatchObject({ status: 404 })
    await expect(channel.open(conversation('fake/echo'))).rejects.toMatchObject({
      errorType: 'runner_scheduling_failure',
    })
    await expect(channel.open(conversation('fake/echo', { startTimeoutSeconds: 0.05 }))).rejects.toMatchObject({
      errorType: 'request_timeout',
    })
    const waiting = send(channel, conversation('fake/echo', { startTimeoutSeconds: 10 }), {})
    await startFakeRunner(queue)
    expect((await waiting).at(-1)).toMatchObject({ status: 200 })
  })

  it('waits for no runner once it is told not to, whoever waits already included', async () => {
    const queue = await openQueue()
    const channel = channelOver(queue, { runnerWaitSeconds: 600 })
    const refusal = { status: 503, errorType: 'runner_scheduling_failure' }
    const waiting = expect(channel.open(conversation('fake/echo'))).rejects.toMatchObject(refusal)
    channel.stopWaiting()
    await waiting
    await expect(channel.open(conversation('fake/echo', { startTimeoutSeconds: 600 }))).rejects.toMatchObject(refusal)
    await startFakeRunner(queue)
    await expect
      .poll(() =>
        channel.open(conversation('fake/echo')).then(
          () => 'opened',
          () => 'refused',
        ),
      )
      .toBe('opened')
  })

  it('prefers the hinted runner, then a warm one, then the idle one', async () => {
    const queue = await openQueue()
    // Listed in the order of their ids.
    const plain = await startFakeRunner(queue, { runnerId: 'a' })
    const warm = await startFakeRunner(queue, { runnerId: 'b', warm: () => ['fake/echo'] })
    const hinted = await startFakeRunner(queue, { runnerId: 'c', warm: () => ['lora:a'] })
    const channel = channelOver(queue)
    const servedBy = async (endpointId: string, options: Partial<ConversationOptions> = {}) => {
      const result = (await send(channel, conversation(endpointId, options), {})).at(-1)
      return result?.type === 'result' ? result.headers['x-fal-served-from'] : undefined
    }
    expect(await servedBy('fake/echo')).toBe(warm.runnerId)
    expect(await servedBy('fake/echo', { runnerHint: 'lora:a' })).toBe(hinted.runnerId)
    expect(await servedBy('fake/steps')).toBe(plain.runnerId)
  })

  it('spreads a burst over the runners, and avoids one that works', async () => {
    const gate = createGate()
    const queue = await openQueue()
    const first = await startFakeRunner(queue, { endpoints: [gate.endpoint] })
    const second = await startFakeRunner(queue, { endpoints: [gate.endpoint] })
    const channel = channelOver(queue)
    const burst = await Promise.all([channel.open(conversation('fake/gate')), channel.open(conversation('fake/gate'))])
    const answers = [send(channel, conversation('fake/gate'), {})]
    await gate.entered
    // One conversation each, and a third on the runner that works: the idle one has fewer. Now as many there, idle.
    const spare = await channel.open(conversation('fake/gate'))
    answers.push(send(channel, conversation('fake/gate'), {}))
    gate.open()
    const served = (await Promise.all(answers)).map((events) => {
      const result = events.at(-1)
      return result?.type === 'result' ? result.headers['x-fal-served-from'] : undefined
    })
    expect(new Set(served)).toEqual(new Set([first.runnerId, second.runnerId]))
    const spread = await Promise.all(
      burst.map(async (opened) => {
        for await (const event of opened.send({}, NEVER))
          if (event.type === 'result') return event.headers['x-fal-served-from']
        return undefined
      }),
    )
    expect(new Set(spread)).toEqual(new Set([first.runnerId, second.runnerId]))
    for (const opened of [...burst, spare]) opened.close()
  })
})

describe('createChannelServer', () => {
  it('refuses a caller without the token', async () => {
    const server = await createChannelServer({ token: 'right', run: async () => {} })
    toClose.push(() => server.close())
    const status = await new Promise((resolve) => {
      const socket = new WebSocket(server.address, { headers: { authorization: 'Bearer wrong' } })
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode))
      socket.on('error', () => {})
    })
    expect(status).toBe(401)
  })

  it('hangs up on a peer that speaks something else', async () => {
    const server = await createChannelServer({ token: 't', run: async () => {} })
    toClose.push(() => server.close())
    const socket = new WebSocket(server.address, { headers: { authorization: 'Bearer t' } })
    socket.on('open', () => socket.send('hello'))
    const code = await new Promise((resolve) => socket.on('close', resolve))
    expect(code).toBe(1002)
  })
})
