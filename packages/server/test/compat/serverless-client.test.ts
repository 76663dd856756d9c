import * as fal from '@fal-ai/serverless-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// The predecessor of @fal-ai/client, on which older apps stand: no data/requestId wrapper, rest.alpha.fal.ai, storage
// without a type, `request_id` matched by the app itself.

const PROMPT = 'masterpiece, colorful, photo of a beach in hawaii, sun'

interface LcmOutput {
  readonly images: readonly { readonly url?: string; readonly content?: Uint8Array; readonly width: number }[]
  readonly request_id?: string
  readonly seed: number
}

let server: WholeServer
let restore: () => Promise<void>

beforeAll(async () => {
  server = await startWholeServer({ tls: true })
  restore = answerForFal(server)
  fal.config({ credentials: server.key })
})

afterAll(async () => {
  await restore()
  await server.close()
})

async function uploadedPicture(): Promise<string> {
  const output = await fal.run<object, LcmOutput>('fal-ai/fast-lcm-diffusion', {
    input: { prompt: PROMPT, image_size: { width: 64, height: 32 }, format: 'png' },
  })
  const picture = await (await fetch(output.images[0]?.url ?? '')).blob()
  return fal.storage.upload(new File([picture], 'beach.png', { type: 'image/png' }))
}

describe('@fal-ai/serverless-client 0.15.0', () => {
  test('run and storage.upload', async () => {
    const image_url = await uploadedPicture()
    expect(image_url).toMatch(/^https:\/\/v3\.fal\.media\/files\//)
    const output = await fal.run<object, LcmOutput>('fal-ai/lcm-sd15-i2i', { input: { prompt: PROMPT, image_url } })
    expect(output.images[0]).toMatchObject({ width: 64, height: 32 })
  })

  test('subscribe to a legacy id, with logs', async () => {
    const lines: string[][] = []
    const output = await fal.subscribe<object, LcmOutput>('110602490-lcm-sd15-i2i', {
      input: { prompt: PROMPT, image_url: await uploadedPicture(), num_inference_steps: 20 },
      logs: true,
      pollInterval: 10,
      onQueueUpdate: (update) => {
        if (update.status === 'IN_PROGRESS') lines.push(update.logs.map(({ message }) => message))
      },
    })
    expect(output.images).toHaveLength(1)
    expect(lines.at(-1)?.[0]).toBe('Step 1/20')
  })

  test('queue.submit, status, result, cancel', async () => {
    const { request_id: requestId } = await fal.queue.submit('fal-ai/fast-lcm-diffusion', { input: { prompt: PROMPT } })
    const status = await fal.queue.subscribeToStatus('fal-ai/fast-lcm-diffusion', { requestId })
    expect(status.status).toBe('COMPLETED')
    const output: LcmOutput = await fal.queue.result('fal-ai/fast-lcm-diffusion', { requestId })
    expect(output.images).toHaveLength(1)
    const again = await fal.queue.cancel('fal-ai/fast-lcm-diffusion', { requestId }).catch((error) => error)
    expect(again).toMatchObject({ status: 400, body: { status: 'ALREADY_COMPLETED' } })
  })

  test('stream', async () => {
    const stream = await fal.stream<object, LcmOutput>('fal-ai/fast-lcm-diffusion', {
      input: { prompt: PROMPT, num_inference_steps: 2 },
    })
    const seen: LcmOutput[] = []
    stream.on('data', (event) => seen.push(event))
    expect((await stream.done()).seed).toBe(42)
    expect(seen).toHaveLength(3)
  })

  test('realtime.connect matches results by the request_id of the message', async () => {
    const ids = [crypto.randomUUID(), crypto.randomUUID()]
    const results: LcmOutput[] = []
    let settle = (_error?: unknown) => {}
    const connection = fal.realtime.connect<Record<string, unknown>, LcmOutput>('fal-ai/lcm-sd15-i2i', {
      connectionKey: 'serverless',
      throttleInterval: 0,
      onResult(result) {
        results.push(result)
        settle()
      },
      onError: (error) => settle(error),
    })
    const image_url = await uploadedPicture()
    for (const request_id of ids) {
      const next = new Promise((resolve) => {
        settle = resolve
      })
      connection.send({ prompt: PROMPT, image_url, request_id, num_inference_steps: 1, seed: 3 })
      expect(await next).toBeUndefined()
    }
    connection.close()
    expect(results.map((result) => result.request_id)).toEqual(ids)
    expect([...(results[0]?.images[0]?.content?.subarray(0, 3) ?? [])]).toEqual([0xff, 0xd8, 0xff])
  })
})
