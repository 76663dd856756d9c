import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { decodeImage, encodeImage, resizeRgb } from '@darkroom/engine'
import type { FalClient } from '@fal-ai/client'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { tarOf } from '../../../engine/test/fixtures/archives.ts'
import { type RealServer, startRealServer } from '../e2e/real-server.ts'

// What the pages of both endpoints tell to call, word for word but for the addresses of pictures, with nothing pulled.

const ASTRONAUT = new URL('../../../engine/test/golden/data/vision/astronaut.jpg', import.meta.url)

describe('the pages of endpoints that see faces', { timeout: 300_000 }, () => {
  let server: RealServer
  let fal: FalClient
  let photograph: string
  let small: string

  beforeAll(async () => {
    server = await startRealServer(async (folder) => {
      const recipes = join(folder, 'recipes.json')
      await writeFile(recipes, JSON.stringify({ 'fal-ai/instantid/lcm': { shorter_side: 192, longer_side: 256 } }))
      return { HF_HUB_OFFLINE: '1', DARKROOM_RECIPES: recipes }
    })
    fal = server.fal
    const bytes = await readFile(ASTRONAUT)
    photograph = `data:image/jpeg;base64,${bytes.toString('base64')}`
    const picture = resizeRgb(await decodeImage(bytes), 256, 192, 'bilinear')
    small = `data:image/png;base64,${Buffer.from(await encodeImage(picture, 'png')).toString('base64')}`
  }, 60_000)

  afterAll(() => server.stop())

  async function logsOf(endpoint: string, requestId: string): Promise<string> {
    const status = await fal.queue.status(endpoint, { requestId, logs: true })
    return (status as { logs: { message: string }[] }).logs.map(({ message }) => message).join('\n')
  }

  test('fal-ai/instantid/lcm', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const result = await fal.subscribe('fal-ai/instantid/lcm', {
      input: {
        face_image_url: photograph,
        prompt: 'man',
      },
      logs: true,
      onQueueUpdate: (update) => {
        if (update.status === 'IN_PROGRESS') {
          update.logs.map((log) => log.message).forEach(console.log)
        }
      },
    })
    log.mockRestore()
    expect(Object.keys(result.data)).toEqual(['image', 'seed'])
    expect(result.data.image).toMatchObject({ width: 256, height: 256, content_type: 'image/png' })
    const logs = await logsOf('fal-ai/instantid/lcm', result.requestId)
    expect(logs).toContain('darkroom pull stabilityai/stable-diffusion-xl-base-1.0')
    expect(logs).toMatch(/identity .* belongs to the model that is not here: pinhole\/\S+ and pinhole\/canny show/)
    expect(logs).toContain('pinhole/face knows drawn portraits alone')
    expect(logs).not.toContain('No face was seen')
  })

  test('fal-ai/instantid/lcm where no face is seen', async () => {
    const cat = await readFile(new URL('cat.jpg', ASTRONAUT))
    const face_image_url = `data:image/jpeg;base64,${cat.toString('base64')}`
    const { data, requestId } = await fal.subscribe('fal-ai/instantid/lcm', {
      input: { face_image_url, prompt: 'man', num_inference_steps: 1 },
    })
    expect(data).toHaveProperty('image.width', 256)
    expect(await logsOf('fal-ai/instantid/lcm', requestId)).toMatch(
      /No face was seen .*: darkroom pull .*glintr100\.onnx/,
    )
  })

  test('fal-ai/controlnet-ip-adapter', async () => {
    const subscribe = (urls: object) =>
      fal.subscribe('fal-ai/controlnet-ip-adapter', {
        input: {
          prompt: 'portrait of a man',
          reference_image_url: '',
          reference_pose_image_url: '',
          ip_archive_url: '',
          ...urls,
        },
        logs: true,
        onQueueUpdate: (update) => {
          if (update.status === 'IN_PROGRESS') {
            update.logs.map((log) => log.message).forEach(() => {})
          }
        },
      })
    // The page leaves the addresses empty.
    await expect(subscribe({})).rejects.toMatchObject({ status: 422 })
    const result = await subscribe({
      reference_image_url: small,
      reference_pose_image_url: photograph,
      ip_archive_url: `data:application/gzip;base64,${gzipSync(tarOf([{ name: 'a.jpg', data: await readFile(ASTRONAUT) }])).toString('base64')}`,
    })
    expect(Object.keys(result.data)).toEqual(['images', 'seed', 'timings'])
    expect(result.data).toMatchObject({ images: [{ width: 256, height: 192, content_type: 'image/png' }] })
    expect(Object.keys(result.data.timings)).toEqual(expect.arrayContaining(['archive', 'reference', 'inference']))
    const logs = await logsOf('fal-ai/controlnet-ip-adapter', result.requestId)
    expect(logs).toContain('darkroom pull SG161222/Realistic_Vision_V5.1_noVAE')
    expect(logs).toMatch(
      /pose and subject belongs to the model that is not here: pinhole\/pose and pinhole\/ip-adapter show/,
    )
  })
})
