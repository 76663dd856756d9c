import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeImage } from '@darkroom/engine'
import { createFalClient } from '@fal-ai/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { type RunningServer, startServer } from '../../src/processes/server-process.ts'
import { answerForFal } from '../fakes/fal-hosts.ts'
import { SILENT_LOG } from '../fakes/silent-log.ts'
import { type Exception, expectRecorded, type RecordedAnswer, readAnswer } from './recorded-exchange.ts'

// The whole server over TLS, its runner a process of its own, drawing with the demo checkpoint.

const DRAW = 'fal-ai/fast-lcm-diffusion'
const SMALL = { prompt: 'a king', image_size: 'square', num_inference_steps: 2, guidance_scale: 1, seed: 7 } as const

/** As the live service answered for fal-ai/flux/dev. */
const FAL_HEADERS = ['x-fal-request-id', 'x-fal-billable-units', 'x-fal-served-from']
const OUTPUT =
  '{"images":[{"url":"https://x","width":1024,"height":768,"content_type":"image/jpeg"}],"timings":{"inference":1.2},"seed":1,"has_nsfw_concepts":[false],"prompt":"x"}'

describe('with the demo checkpoint', { timeout: 60_000 }, () => {
  let folder: string
  let server: RunningServer
  let restore: () => Promise<void>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-compat-'))
    const none = join(folder, 'none')
    const environment = { DARKROOM_MODELS: none, HF_HUB_CACHE: none, DARKROOM_TLS: '1' }
    const config = readConfig({ port: 0, dataFolder: folder, logLevel: 'silent' }, environment)
    server = await startServer(config, SILENT_LOG)
    const authority = await readFile(server.authorityFile ?? '', 'utf8')
    restore = answerForFal({ port: Number(new URL(server.url).port), authority })
  }, 60_000)

  afterAll(async () => {
    await restore()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const post = (path: string) =>
    fetch(`https://fal.run/${DRAW}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...SMALL, sync_mode: false }),
    })

  test('the JS client gets a picture and the steps as log lines', async () => {
    const { data, requestId } = await createFalClient().subscribe(DRAW, {
      input: { ...SMALL, sync_mode: false },
      logs: true,
      pollInterval: 50,
    })
    const picture = await decodeImage(new Uint8Array(await (await fetch(data.images[0]?.url ?? '')).arrayBuffer()))
    expect([picture.width, picture.height]).toEqual([512, 512])
    expect(new Set(picture.data).size).toBeGreaterThan(50)
    const status = await createFalClient().queue.status(DRAW, { requestId, logs: true })
    expect('logs' in status && status.logs.map(({ message }) => message)).toEqual(
      expect.arrayContaining(['Step 1/2', 'Step 2/2']),
    )
    expect('logs' in status && status.logs.filter((entry) => 'progress' in entry)).toMatchObject([
      { progress: { done: 1, total: 2 } },
      { progress: { done: 2, total: 2 } },
    ])
  })

  test('run answers as it is on record', async () => {
    const recorded: RecordedAnswer = {
      status: 200,
      contentType: 'application/json',
      falHeaders: FAL_HEADERS,
      body: OUTPUT,
    }
    expectRecorded(await readAnswer(await post('')), recorded, [])
  })

  test('stream sends events as they are on record', async () => {
    const answer = await readAnswer(await post('/stream'))
    const blocks = answer.body.split('\n\n')
    expect(blocks.pop()).toBe('')
    const events = blocks.map((block) => /^data: (\{.*\})$/.exec(block)?.[1] ?? block)
    // One for each step, the last one final.
    expect(events).toHaveLength(2)
    const recorded: RecordedAnswer = {
      status: 200,
      contentType: 'text/event-stream; charset=utf-8',
      falHeaders: [...FAL_HEADERS, 'x-fal-sse-last-event-as-body'],
      body: OUTPUT.replace('{"inference":1.2}', '{}'),
    }
    const differences: readonly Exception[] = [
      {
        at: 'x-fal-served-from',
        kind: 'absent',
        reason: 'A runner is named with its result, and the head goes out before',
      },
    ]
    const [step = '', final = ''] = events
    expectRecorded({ ...answer, body: step }, recorded, differences)
    const timings: Exception = {
      at: 'timings.inference',
      kind: 'added',
      reason: 'As in a result; on record it is empty',
    }
    expectRecorded({ ...answer, body: final }, recorded, [...differences, timings])
    const urls = events.map((event) => JSON.parse(event).images[0].url.slice(0, 22))
    expect(urls).toEqual(['data:image/jpeg;base64', 'https://v3.fal.media/f'])
  })
})
