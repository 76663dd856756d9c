import { expect, it } from 'vitest'
import { createDarkroomClient } from './index.ts'

it('gives every request a signal, without which React’s fetch answers polls from memory', async () => {
  const seen: (AbortSignal | null | undefined)[] = []
  const fal = createDarkroomClient({
    url: 'http://127.0.0.1:3010',
    suppressLocalCredentialsWarning: true,
    async fetch(_, init) {
      seen.push(init?.signal)
      return Response.json({ status: 'IN_QUEUE', request_id: 'a' })
    },
  })
  await fal.queue.status('fal-ai/lora', { requestId: 'a' })
  const own = new AbortController()
  await fal.queue.status('fal-ai/lora', { requestId: 'a', abortSignal: own.signal })
  expect(seen).toEqual([expect.any(AbortSignal), own.signal])
})
