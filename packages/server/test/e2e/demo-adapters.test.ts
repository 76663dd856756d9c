import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeImage, type RgbImage } from '@darkroom/engine'
import { createFalClient, type FalClient } from '@fal-ai/client'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { type RunningServer, startServer } from '../../src/processes/server-process.ts'

type Rgb = readonly [number, number, number]

/** Colours of the style's own pictures: training/pinhole_training/style_lora.py. */
const BLUEPRINT_PAPER: Rgb = [24, 58, 138]

/** Nothing is pulled and nothing is fetched: what a newcomer has. */
describe('the demo adapters on the demo checkpoint', { timeout: 120_000 }, () => {
  let folder: string
  let server: RunningServer
  let fal: FalClient

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'darkroom-demo-adapters-'))
    const environment = {
      DARKROOM_MODELS: join(folder, 'none'),
      HF_HUB_CACHE: join(folder, 'none'),
      HF_HUB_OFFLINE: '1',
    }
    const config = readConfig({ port: 0, dataFolder: folder, logLevel: 'silent' }, environment)
    server = await startServer(config, pino({ level: 'silent' }))
    fal = createFalClient({ proxyUrl: { url: `${server.url}/api/fal/proxy`, when: 'always' } })
  })

  afterAll(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** With the base's own scheduler, so that nothing but the adapter changes. */
  async function draw(input: Record<string, unknown>): Promise<RgbImage> {
    const { data } = await fal.run('fal-ai/lora', {
      input: {
        model_name: 'pinhole/512',
        image_size: 'square',
        num_inference_steps: 6,
        guidance_scale: 2,
        seed: 5,
        image_format: 'png',
        ...input,
      } as never,
    })
    const { images } = data as { images: { url: string }[] }
    const response = await fetch(images[0]?.url ?? '')
    return decodeImage(new Uint8Array(await response.arrayBuffer()))
  }

  async function refusal(input: Record<string, unknown>): Promise<string> {
    const response = await fetch(`${server.url}/run/fal-ai/lora`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'a king', num_inference_steps: 1, ...input }),
    })
    expect(response.status).toBe(422)
    return JSON.stringify(await response.json())
  }

  it('a LoRA draws blueprints', async () => {
    const prompt = 'a king, golden crown, yellow background'
    const plain = await draw({ prompt })
    const drawn = await draw({ prompt, loras: [{ path: 'pinhole/blueprint-lora', scale: 1 }] })
    expect(shareNear(plain, BLUEPRINT_PAPER, 60)).toBeLessThan(0.1)
    expect(shareNear(drawn, BLUEPRINT_PAPER, 60)).toBeGreaterThan(0.5)
  })

  it('a prompt is expanded in the words that the demo checkpoint knows', async () => {
    const input = {
      prompt: 'a king',
      seed: 1,
      expand_prompt: true,
      image_size: 'square',
      num_inference_steps: 1,
    } as const
    const { data } = await fal.run('fal-ai/fast-lcm-diffusion', { input })
    expect(data).toHaveProperty(
      'prompt',
      'a king, green eyes, brown background, with silver hair, mustache, oil painting',
    )
  })

  it('weights that are not here are named, with the demo adapter that shows the field', async () => {
    const answer = await refusal({ model_name: 'pinhole/512', loras: [{ path: 'owner/pastel-lora' }] })
    expect(answer).toContain('owner/pastel-lora is not on this server')
    expect(answer).toContain('pinhole/blueprint-lora shows what such weights do')
  })

  it('a LoRA of another base is refused with those that fit the stand-in', async () => {
    const foreign = new URL('../../../engine/test/golden/data/lora/kohya.safetensors', import.meta.url)
    const path = `data:application/octet-stream;base64,${(await readFile(foreign)).toString('base64')}`
    const answer = await refusal({ model_name: 'stabilityai/stable-diffusion-xl-base-1.0', loras: [{ path }] })
    expect(answer).toMatch(/is for another base model.*pinhole-1024 stands in.*pinhole\/blueprint-lora/)
  })

  it('a demo model that does not exist is refused with the names of those that do', async () => {
    expect(await refusal({ model_name: 'pinhole/2048' })).toMatch(
      /There is no demo model pinhole\/2048; .*pinhole\/512/,
    )
  })
})

/** Share of pixels whose channels are all within `distance` of a colour. */
function shareNear({ data, width, height }: RgbImage, colour: Rgb, distance: number): number {
  let near = 0
  for (let i = 0; i < data.length; i += 3) {
    if (colour.every((value, c) => Math.abs((data[i + c] as number) - value) <= distance)) near++
  }
  return near / (width * height)
}
