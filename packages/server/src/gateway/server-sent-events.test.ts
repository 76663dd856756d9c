import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { eventStreamResponse } from './server-sent-events.ts'

const EVENT = JSON.stringify('x'.repeat(10_000))

function streamOf(events: number, sent: { count: number }, signal = new AbortController().signal): Response {
  return eventStreamResponse({ signal, keepAliveSeconds: 60 }, async (send) => {
    for (let i = 0; i < events; i++) {
      await send(EVENT)
      sent.count += 1
    }
  })
}

it('makes no more events than a reader takes, and loses none', async () => {
  const sent = { count: 0 }
  const response = streamOf(100, sent)
  await sleep(20)
  expect(sent.count).toBeLessThan(10)
  const text = await response.text()
  expect(text.split('\n\n').length - 1).toBe(100)
  expect(sent.count).toBe(100)
})

it('lets go of who waits for a reader that left', async () => {
  const leaving = new AbortController()
  const sent = { count: 0 }
  const response = streamOf(100, sent, leaving.signal)
  await sleep(20)
  leaving.abort()
  await expect.poll(() => sent.count).toBe(100)
  const cancelled = { count: 0 }
  const reader = streamOf(100, cancelled).body?.getReader()
  await reader?.read()
  await reader?.cancel()
  await expect.poll(() => cancelled.count).toBe(100)
  await response.body?.cancel()
})
