import { expect, test } from 'vitest'
import { FAKE_ENDPOINTS } from '../../test/fakes/fake-endpoints.ts'
import type { ReadWeightsAhead } from '../endpoints/endpoint.ts'
import type { UpcomingRequest } from '../queue/request-queue.ts'
import { NextWeights } from './next-weights.ts'

const ENDPOINT = 'fake/echo'

/** Looks at requests that the test puts in `queue.next`; `read` has the inputs whose weights were asked for. */
function looking({
  intervalMs = 0,
  readWeightsAhead,
}: {
  intervalMs?: number
  readWeightsAhead?: ReadWeightsAhead
} = {}) {
  const [echo] = FAKE_ENDPOINTS.filter(({ schema }) => schema.id === ENDPOINT)
  if (echo === undefined) throw new Error('there is no echo endpoint')
  const read: unknown[] = []
  const signals: AbortSignal[] = []
  const queue: { next: UpcomingRequest | undefined; peeks: number } = { next: undefined, peeks: 0 }
  const endpoint = {
    ...echo,
    readWeightsAhead: async (input: unknown, signal: AbortSignal) => {
      read.push(input)
      signals.push(signal)
      await readWeightsAhead?.(input, signal)
    },
  }
  const next = new NextWeights({
    peek: async () => {
      queue.peeks++
      return queue.next
    },
    endpoints: new Map([[ENDPOINT, endpoint]]),
    validation: {
      parseInput: (text) => JSON.parse(text),
      validate: (_, input) => input,
    },
    intervalMs,
  })
  const see = async (requestId: string, input: string, endpointId = ENDPOINT) => {
    queue.next = { requestId, endpointId, input }
    await next.look()
  }
  return { next, queue, see, read, signals }
}

test('reads the weights of each request once', async () => {
  const { see, read } = looking()
  await see('one', '{"model":1}')
  await see('one', '{"model":1}')
  await see('two', '{"model":2}')
  expect(read).toEqual([{ model: 1 }, { model: 2 }])
})

test('an input that is refused, an unknown endpoint and a hook that fails hurt nobody', async () => {
  const readWeightsAhead = () => Promise.reject(new Error('the model is damaged'))
  const { see, read, next, queue } = looking({ readWeightsAhead })
  await see('broken', 'no JSON')
  await see('other', '{}', 'fake/unknown')
  queue.next = { requestId: 'long', endpointId: ENDPOINT }
  await next.look()
  await see('damaged', '{"model":1}')
  await see('whole', '{"model":2}')
  expect(read).toEqual([{ model: 1 }, { model: 2 }])
})

test('looks again only after a while', async () => {
  const { see, queue } = looking({ intervalMs: 60_000 })
  await see('one', '{}')
  await see('two', '{}')
  expect(queue.peeks).toBe(1)
})

test('ends when another request is next or was claimed, and goes on for the one that was', async () => {
  const { see, next, signals } = looking()
  const ended = () => signals.map(({ aborted }) => aborted)
  await see('one', '{}')
  next.claimed('one')
  expect(ended()).toEqual([false])
  await see('two', '{}')
  expect(ended()).toEqual([true, false])
  next.claimed('another')
  expect(ended()).toEqual([true, true])
  await see('three', '{}')
  next.end()
  expect(ended()).toEqual([true, true, true])
  await see('four', '{}')
  expect(ended()).toHaveLength(3)
})
