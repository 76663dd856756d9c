import { createFalClient as createFalClient10 } from '@fal-ai/client'
import { createFalClient as createFalClient7 } from 'fal-client-1.7'
import { createFalClient as createFalClient9 } from 'fal-client-1.9'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// The published JS clients as they are, with nothing but a key: fal's host names lead to the server. Between these
// versions the wire changed: 1.7 sends no storage type or lifecycle and always adds /realtime, 1.7 and 1.9 ask
// rest.alpha.fal.ai, 1.10 asks rest.fal.ai.

type CreateFalClient = typeof createFalClient10

const VERSIONS: readonly (readonly [string, CreateFalClient])[] = [
  ['1.10.1', createFalClient10],
  ['1.9.2', createFalClient9 as unknown as CreateFalClient],
  ['1.7.2', createFalClient7 as unknown as CreateFalClient],
]

const PROMPT = 'Self-portrait oil painting, a beautiful cyborg with golden hair, 8k'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const JPEG_START = [0xff, 0xd8, 0xff]

let server: WholeServer
let restore: () => Promise<void>
let warn: { mockRestore(): void }

beforeAll(async () => {
  // 1.10 and 1.9 advise against the default token provider, which is what is tested here.
  warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  server = await startWholeServer({ tls: true })
  restore = answerForFal(server)
})

afterAll(async () => {
  warn.mockRestore()
  await restore()
  await server.close()
})

describe.each(VERSIONS)('@fal-ai/client %s', (_version, createFalClient) => {
  let fal: ReturnType<CreateFalClient>

  beforeEach(() => {
    fal = createFalClient({ credentials: server.key })
  })

  test('run', async () => {
    const { data, requestId } = await fal.run('fal-ai/fast-lcm-diffusion', { input: { prompt: PROMPT, seed: 7 } })
    expect(requestId).toMatch(UUID)
    expect(data).toMatchObject({ seed: 7, prompt: PROMPT, images: [{ width: 1024, content_type: 'image/jpeg' }] })
    expect(data.images[0]?.url).toMatch(/^data:image\/jpeg;base64,/)
  })

  test('subscribe, as the model page has it', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const result = await fal.subscribe('fal-ai/fast-lcm-diffusion', {
      input: {
        prompt: 'Self-portrait oil painting, a beautiful cyborg with golden hair, 8k',
      },
      logs: true,
      onQueueUpdate: (update) => {
        if (update.status === 'IN_PROGRESS') {
          update.logs.map((log) => log.message).forEach(console.log)
        }
      },
    })
    log.mockRestore()
    expect(result.data.images).toHaveLength(1)
    expect(result.requestId).toMatch(UUID)
  })

  test('subscribe by polling sees the logs grow, without them none', async () => {
    const steps: string[][] = []
    const states: string[] = []
    const { data } = await fal.subscribe('fal-ai/lcm-sd15-i2i', {
      input: { prompt: PROMPT, image_url: PIXEL, num_inference_steps: 30, seed: 1 },
      logs: true,
      pollInterval: 10,
      onEnqueue: (requestId) => states.push(requestId),
      onQueueUpdate: (update) => {
        states.push(update.status)
        if (update.status === 'IN_PROGRESS') steps.push(update.logs.map(({ message }) => message))
      },
    })
    expect(states[0]).toMatch(UUID)
    expect(states.at(-1)).toBe('COMPLETED')
    // Thirty steps take many polls: at some of them a part of the lines is there.
    expect(Math.max(...steps.map(({ length }) => length))).toBeGreaterThan(0)
    for (const seen of steps) expect(seen).toEqual(seen.map((_, index) => `Step ${index + 1}/30`))
    expect(await downloaded((data as { images: { url: string }[] }).images[0]?.url)).toEqual(JPEG_START)
  })

  test('subscribe by streaming gets every log line once', async () => {
    const last: { status?: string; lines: string[] } = { lines: [] }
    await fal.subscribe('fal-ai/fast-lcm-diffusion', {
      input: { prompt: PROMPT, num_inference_steps: 5 },
      logs: true,
      mode: 'streaming',
      onQueueUpdate: (update) => {
        last.status = update.status
        if ('logs' in update && update.logs) last.lines = update.logs.map(({ message }) => message)
      },
    })
    expect(last).toEqual({ status: 'COMPLETED', lines: [1, 2, 3, 4, 5].map((step) => `Step ${step}/5`) })
  })

  test('queue.submit, status, result', async () => {
    const { request_id } = await fal.queue.submit('fal-ai/fast-lcm-diffusion', {
      input: {
        prompt: 'Self-portrait oil painting, a beautiful cyborg with golden hair, 8k',
      },
      webhookUrl: 'https://optional.webhook.invalid/for/results',
    })
    const stream = await fal.queue.streamStatus('fal-ai/fast-lcm-diffusion', { requestId: request_id, logs: true })
    expect(await stream.done()).toMatchObject({ status: 'COMPLETED', request_id })
    const status = await fal.queue.status('fal-ai/fast-lcm-diffusion', {
      requestId: request_id,
      logs: true,
    })
    expect(status).toMatchObject({
      status: 'COMPLETED',
      request_id,
      response_url: `https://queue.fal.run/fal-ai/fast-lcm-diffusion/requests/${request_id}`,
      metrics: { inference_time: expect.any(Number) },
    })
    const result = await fal.queue.result('fal-ai/fast-lcm-diffusion', {
      requestId: request_id,
    })
    expect(result.requestId).toBe(request_id)
    expect(result.data.images).toHaveLength(1)
  })

  test('queue.cancel stops what runs', async () => {
    const { request_id: requestId } = await fal.queue.submit('fake/steps', { input: { steps: 1000, ms: 20 } })
    await fal.queue.cancel('fake/steps', { requestId })
    const status = await fal.queue.subscribeToStatus('fake/steps', { requestId, pollInterval: 10 })
    expect(status.status).toBe('COMPLETED')
    const error = await fal.queue.result('fake/steps', { requestId }).catch((caught) => caught)
    expect(error).toMatchObject({ status: 499, body: { error_type: 'client_cancelled' } })
  })

  test('stream', async () => {
    const stream = await fal.stream('fal-ai/fast-lcm-diffusion', {
      input: { prompt: PROMPT, num_inference_steps: 3, sync_mode: false },
    })
    const events = []
    for await (const event of stream) events.push(event)
    expect(events).toHaveLength(4)
    const result = await stream.done()
    expect(events.at(-1)).toEqual(result)
    expect(result.images[0]?.url).toMatch(/^https:\/\/v3\.fal\.media\/files\//)
    expect(await downloaded(result.images[0]?.url)).toEqual(JPEG_START)
  })

  test('realtime.connect', async () => {
    const results: { images: { content: Uint8Array }[]; seed: number }[] = []
    const errors: unknown[] = []
    let arrived = () => {}
    const connection = fal.realtime.connect('fal-ai/fast-lcm-diffusion', {
      connectionKey: crypto.randomUUID(),
      throttleInterval: 0,
      onResult: (result) => {
        results.push(result as never)
        arrived()
      },
      onError: (error) => {
        errors.push(error)
        arrived()
      },
    })
    for (const seed of [5, 6]) {
      const next = new Promise<void>((resolve) => {
        arrived = resolve
      })
      connection.send({ prompt: PROMPT, seed, num_inference_steps: 1, image_size: 'square' })
      await next
    }
    connection.close()
    expect(errors).toEqual([])
    expect(results.map(({ seed }) => seed)).toEqual([5, 6])
    expect([...(results[0]?.images[0]?.content.subarray(0, 3) ?? [])]).toEqual(JPEG_START)
  })

  test('storage.upload', async () => {
    for (const bytes of [new Uint8Array([7]), patternBytes(5 * 1024 * 1024)]) {
      const url = await fal.storage.upload(new File([bytes], 'a picture.png', { type: 'image/png' }))
      expect(url).toMatch(/^https:\/\/v3\.fal\.media\/files\//)
      const response = await fetch(url)
      expect(response.headers.get('content-type')).toBe('image/png')
      expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), bytes)).toBe(0)
    }
  })

  test('a Blob in the input is uploaded, and read by the endpoint', async () => {
    const image = await (await fetch(PIXEL)).blob()
    const { data } = await fal.subscribe('fal-ai/lcm-sd15-i2i', {
      input: { prompt: PROMPT, image_url: image as unknown as string },
      pollInterval: 10,
    })
    expect((data as { images: object[] }).images[0]).toMatchObject({ width: 2, height: 1 })
  })

  test('errors carry fal’s bodies', async () => {
    const wrong = await fal.run('fal-ai/fast-lcm-diffusion', { input: { prompt: [1] } as never }).catch((e) => e)
    expect(wrong).toMatchObject({
      name: 'ValidationError',
      status: 422,
      body: { detail: [{ loc: ['body', 'prompt'], msg: 'str type expected', type: 'type_error.str' }] },
    })
    const stranger = await createFalClient({ credentials: 'who:ever' })
      .queue.submit('fal-ai/fast-lcm-diffusion', { input: { prompt: PROMPT } })
      .catch((e) => e)
    expect(stranger).toMatchObject({ status: 401, body: { detail: 'No user found for Key ID and Secret' } })
    const unknown = await fal.run('fal-ai/nothing', { input: {} }).catch((e) => e)
    expect(unknown).toMatchObject({ status: 404, body: { detail: 'Application "nothing" not found' } })
  })
})

/** A PNG of 2×1 pixels. */
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGP4z8DAwPAfAAcAAf9+CLHQAAAAAElFTkSuQmCC'

/** First bytes of the file that a URL leads to. */
async function downloaded(url: string | undefined): Promise<number[]> {
  const response = await fetch(url ?? '')
  expect(response.status).toBe(200)
  return [...new Uint8Array(await response.arrayBuffer()).subarray(0, 3)]
}

/** A pattern whose period is no power of two: a piece that is lost or moved shows. */
function patternBytes(length: number): Uint8Array<ArrayBuffer> {
  const period = Uint8Array.from({ length: 4099 }, (_, index) => (index * 31 + (index >> 8)) & 0xff)
  return new Uint8Array(Buffer.alloc(length, period))
}
