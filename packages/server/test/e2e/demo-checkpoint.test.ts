import { decodeImage, encodeImage, type RgbImage } from '@darkroom/engine'
import type { FalClient } from '@fal-ai/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RealServer, startRealServer } from './real-server.ts'

const ENDPOINT = 'fal-ai/fast-lcm-diffusion'
const SMALL = { image_size: 'square', num_inference_steps: 2, guidance_scale: 1, sync_mode: false } as const

function dataUri(png: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(png).toString('base64')}`
}

/** The whole server, gateway and runner process, drawing with the bundled demo checkpoint. */
describe('a server with the demo checkpoint', { timeout: 120_000 }, () => {
  let server: RealServer
  let fal: FalClient

  beforeAll(async () => {
    server = await startRealServer()
    fal = server.fal
  })

  afterAll(() => server.stop())

  async function download(url: string): Promise<RgbImage> {
    const response = await fetch(url)
    expect(response.status).toBe(200)
    return decodeImage(new Uint8Array(await response.arrayBuffer()))
  }

  it('draws through the queue, with logs, and the same picture for the same seed', async () => {
    const messages: string[] = []
    const { data, requestId } = await fal.subscribe(ENDPOINT, {
      input: { ...SMALL, prompt: 'a king', seed: 7 },
      logs: true,
      onQueueUpdate: (update) => {
        if (update.status === 'IN_PROGRESS') messages.splice(0, messages.length, ...update.logs.map((l) => l.message))
      },
    })
    const status = await fal.queue.status(ENDPOINT, { requestId, logs: true })
    const logs = (status as { logs: { message: string }[] }).logs.map(({ message }) => message)
    expect(logs).toEqual(expect.arrayContaining(['Step 1/2', 'Step 2/2']))
    expect(logs.slice(0, messages.length)).toEqual(messages)
    expect(logs.join()).toContain('pinhole-512 draws in its place')
    expect(data).toMatchObject({ seed: 7, prompt: 'a king', images: [{ width: 512, height: 512 }] })
    expect(data).toHaveProperty('has_nsfw_concepts', [false])

    const again = await fal.run(ENDPOINT, { input: { ...SMALL, prompt: 'a king', seed: 7 } })
    const other = await fal.run(ENDPOINT, { input: { ...SMALL, prompt: 'a king', seed: 8 } })
    const [first, same, second] = await Promise.all(
      [data, again.data, other.data].map(({ images }) => download((images[0] as { url: string }).url)),
    )
    expect(Buffer.compare(same?.data ?? Buffer.of(), first?.data ?? Buffer.of())).toBe(0)
    expect(Buffer.compare(second?.data ?? Buffer.of(), first?.data ?? Buffer.of())).not.toBe(0)
    expect(new Set(first?.data).size).toBeGreaterThan(50)
  })

  it('draws the colours that the prompt names', async () => {
    const input = { ...SMALL, prompt: 'a red circle on a yellow background', seed: 3, format: 'png' } as const
    const { data } = await fal.run(ENDPOINT, { input: { ...input, num_inference_steps: 4 } })
    const { data: pixels, width } = await download((data.images[0] as { url: string }).url)
    const colour = (x: number, y: number) => [...pixels.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)]
    const [middle, corner] = [colour(256, 256), colour(40, 40)] as [number[], number[]]
    expect(middle[0]).toBeGreaterThan(150)
    expect(Math.max(...middle.slice(1))).toBeLessThan(110)
    expect(Math.min(...corner.slice(0, 2))).toBeGreaterThan(160)
    expect(corner[2]).toBeLessThan(140)
  })

  it('answers at the size asked for although the checkpoint draws multiples of 32', async () => {
    const input = { ...SMALL, prompt: 'a house', image_size: { width: 500, height: 380 } }
    const { data } = await fal.run(ENDPOINT, { input })
    expect(data.images[0]).toMatchObject({ width: 500, height: 380 })
    expect(await download((data.images[0] as { url: string }).url)).toMatchObject({ width: 500, height: 380 })
  })

  it('says in a header which model drew and that nobody checked the picture', async () => {
    const response = await fetch(`${server.url}/run/${ENDPOINT}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...SMALL, prompt: 'a boat', sync_mode: true }),
    })
    expect(response.headers.get('x-darkroom-model')).toBe('pinhole-512')
    expect(response.headers.get('x-darkroom-safety-checker')).toBe('not-installed')
    const { images } = (await response.json()) as { images: { url: string }[] }
    expect(images[0]?.url).toMatch(/^data:image\/jpeg;base64,/)
  })

  it('writes into the file which request drew it', async () => {
    const { data } = await fal.run(ENDPOINT, { input: { ...SMALL, prompt: 'a tram', format: 'png' } })
    const file = Buffer.from(await (await fetch((data.images[0] as { url: string }).url)).arrayBuffer())
    const chunk = file.indexOf('tEXtdarkroom\0')
    const text = file.toString('latin1', chunk + 'tEXtdarkroom\0'.length, chunk + 4 + file.readUInt32BE(chunk - 4))
    expect(JSON.parse(text)).toMatchObject({
      endpoint_id: ENDPOINT,
      input: { prompt: 'a tram', seed: data.seed, num_inference_steps: 2, image_size: 'square' },
    })
  })

  it('redraws a picture that was uploaded', async () => {
    const { data: drawn } = await fal.run(ENDPOINT, { input: { ...SMALL, prompt: 'a boat', seed: 1, format: 'png' } })
    const bytes = await (await fetch((drawn.images[0] as { url: string }).url)).blob()
    const image_url = await fal.storage.upload(bytes)
    const { data } = await fal.subscribe('fal-ai/lcm-sd15-i2i', {
      input: {
        prompt: 'a boat at night',
        image_url,
        strength: 0.5,
        num_inference_steps: 4,
        seed: 3,
        request_id: 'mine',
      },
    })
    expect(data).toMatchObject({ num_inference_steps: 4, request_id: 'mine', seed: 3 })
    expect((data as { images: { width: number }[] }).images[0]?.width).toBe(512)
  })

  /** Black on the left, white on the right. */
  async function rightHalf(): Promise<string> {
    const data = new Uint8Array(512 * 512 * 3).map((_, i) => (Math.floor(i / 3) % 512 < 256 ? 0 : 255))
    return dataUri(await encodeImage({ width: 512, height: 512, data }, 'png'))
  }

  /** Mean difference of two pictures in a part of their columns, 0 … 255. */
  function difference(a: RgbImage, b: RgbImage, [from, to]: readonly [number, number]): number {
    const differences = [...a.data].flatMap((value, i) => {
      const x = Math.floor(i / 3) % a.width
      return x >= from && x < to ? [Math.abs(value - (b.data[i] as number))] : []
    })
    return differences.reduce((sum, value) => sum + value, 0) / differences.length
  }

  it('redraws a part of a picture: inpainting of fast-lcm-diffusion, and of lcm with every other pixel kept', async () => {
    const { data: drawn } = await fal.run(ENDPOINT, { input: { ...SMALL, prompt: 'a boat', seed: 1, format: 'png' } })
    const image_url = (drawn.images[0] as { url: string }).url
    const [original, mask_url] = await Promise.all([download(image_url), rightHalf()])
    const input = { prompt: 'a red circle', image_url, mask_url, num_inference_steps: 4, guidance_scale: 1, seed: 5 }
    const inpainting = await fal.run('fal-ai/fast-lcm-diffusion/inpainting', {
      input: { ...input, strength: 1, format: 'png', sync_mode: false },
    })
    expect(inpainting.data).toMatchObject({ seed: 5, prompt: 'a red circle', has_nsfw_concepts: [false] })
    const part = await download((inpainting.data.images[0] as { url: string }).url)
    // What is kept went through the VAE, what is not is another picture.
    expect(difference(part, original, [0, 192])).toBeLessThan(difference(part, original, [320, 512]) / 4)

    const lcm = async (inpaint_mask_only: boolean) => {
      const { data } = await fal.subscribe('fal-ai/lcm', { input: { ...input, strength: 1, inpaint_mask_only } })
      expect(data).toMatchObject({ seed: 5, num_inference_steps: 4, nsfw_content_detected: [false] })
      return download((data.images[0] as { url: string }).url)
    }
    const [whole, kept] = [await lcm(false), await lcm(true)]
    // The rest is the JPEG's.
    expect(difference(kept, original, [0, 250])).toBeLessThan(difference(whole, original, [0, 250]) / 2)
    expect(difference(kept, whole, [264, 512])).toBeLessThan(1)
  })

  it('draws with lcm from a prompt, from a picture and with a LoRA, by its older names too', async () => {
    const input = { prompt: 'a house', seed: 3, num_inference_steps: 2 }
    const draw = async (id: string, more: object = {}) => {
      const { data } = (await fal.run(id, { input: { ...input, ...more } })) as { data: { images: { url: string }[] } }
      return download(data.images[0]?.url ?? '')
    }
    const plain = await draw('fal-ai/lcm')
    expect(plain).toMatchObject({ width: 512, height: 512 })
    expect(difference(await draw('110602490-lcm'), plain, [0, 512])).toBe(0)
    const lora_url = new URL(
      '../../../../models/pinhole-blueprint-lora/pytorch_lora_weights.safetensors',
      import.meta.url,
    ).pathname
    expect(difference(await draw('fal-ai/lcm', { lora_url }), plain, [0, 512])).toBeGreaterThan(5)
    expect(difference(await draw('fal-ai/lcm', { lora_url, lora_scale: 0 }), plain, [0, 512])).toBeLessThan(1)
    const image_url = dataUri(await encodeImage(plain, 'png'))
    const again = await draw('fal-ai/lcm/image-to-image', { image_url, strength: 0.5, num_inference_steps: 4 })
    expect(difference(again, plain, [0, 512])).toBeLessThan(60)
    await expect(draw('fal-ai/lcm', { mask_url: image_url })).rejects.toMatchObject({ status: 422 })
  })

  it('refuses what cannot be drawn, in fal’s words, and goes on serving', async () => {
    const run = async (path: string, body: string) => {
      const response = await fetch(`${server.url}/run/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      return { status: response.status, body: (await response.json()) as { detail: unknown } }
    }
    const wrongType = await run(ENDPOINT, '{"prompt": "x", "num_inference_steps": "many"}')
    expect(wrongType.status).toBe(422)
    expect(wrongType.body.detail).toEqual([
      { loc: ['body', 'num_inference_steps'], msg: 'value is not a valid integer', type: 'type_error.integer' },
    ])
    const outOfRange = await run(ENDPOINT, '{"prompt": "x", "num_images": 99}')
    expect(outOfRange.status).toBe(422)
    expect(outOfRange.body.detail).toMatchObject([{ loc: ['body', 'num_images'], type: 'value_error.number.not_le' }])
    expect((await run(ENDPOINT, '{"prompt": ')).status).toBe(422)
    expect(await run('fal-ai/nothing-here', '{}')).toMatchObject({
      status: 404,
      body: { detail: 'Application "nothing-here" not found' },
    })
    const unknown = await fetch(`${server.url}/queue/fal-ai/fast-lcm-diffusion/requests/${crypto.randomUUID()}/status`)
    expect(unknown.status).toBe(404)
    expect((await fal.run(ENDPOINT, { input: { ...SMALL, prompt: 'a cat' } })).data.images).toHaveLength(1)
  })
})
