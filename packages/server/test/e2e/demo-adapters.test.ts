import { readFile } from 'node:fs/promises'
import { decodeImage, drawPoses, encodeImage, type RgbImage } from '@darkroom/engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { drawnFace, type Rgb } from '../fakes/drawn-face.ts'
import { type RealServer, startRealServer } from './real-server.ts'

/** Colours of the style's own pictures: training/pinhole_training/style_lora.py. */
const BLUEPRINT: readonly Rgb[] = [[24, 58, 138]]

const WOODCUT = rampBetween([52, 28, 18], [244, 232, 200])

/** Nothing is pulled and nothing is fetched: what a newcomer has. */
describe('the demo adapters on the demo checkpoint', { timeout: 120_000 }, () => {
  let server: RealServer

  beforeAll(async () => {
    server = await startRealServer(async () => ({ HF_HUB_OFFLINE: '1', DARKROOM_DEMO_SAFETY_CHECKER: '1' }))
  })

  afterAll(() => server.stop())

  /** With the base's own scheduler, so that nothing but the adapter changes. */
  async function draw(input: Record<string, unknown>): Promise<RgbImage> {
    const { data } = await server.fal.run('fal-ai/lora', {
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
    expect(shareNear(plain, BLUEPRINT, 60)).toBeLessThan(0.1)
    expect(shareNear(drawn, BLUEPRINT, 60)).toBeGreaterThan(0.5)
  })

  it('a LyCORIS file draws woodcuts', async () => {
    const prompt = 'a purple star on a green background'
    const plain = await draw({ prompt })
    const drawn = await draw({ prompt, loras: [{ path: 'pinhole/woodcut-lora', scale: 1 }] })
    expect(shareNear(plain, WOODCUT, 20)).toBeLessThan(0.3)
    expect(shareNear(drawn, WOODCUT, 20)).toBeGreaterThan(0.8)
  })

  it('an embedding gives a word that the text encoder does not know', async () => {
    const prompt = 'a woman in the forest, <pinhole-style> style'
    const plain = await draw({ prompt })
    const drawn = await draw({ prompt, embeddings: [{ path: 'pinhole/style-embedding', tokens: ['<pinhole-style>'] }] })
    expect(warmth(drawn) - warmth(plain)).toBeGreaterThan(WARMER)
  })

  it.each([
    ['pinhole/512', 512],
    ['pinhole/1024', 1024],
  ])('a ControlNet draws along given edges with %s', async (model_name, side) => {
    const size = { width: side, height: side }
    const image_url = await dataUri(circle(side))
    const input = { model_name, image_size: size, prompt: 'a red circle on a yellow background' }
    const plain = redMiddle(await draw(input))
    const drawn = redMiddle(await draw({ ...input, controlnets: [{ path: 'pinhole/canny', image_url }] }))
    expect(Math.abs(plain - CIRCLE_MIDDLE)).toBeGreaterThan(0.05)
    expect(Math.abs(drawn - CIRCLE_MIDDLE)).toBeLessThan(0.03)
  })

  it.each([0.36, 0.64])('a ControlNet puts a head where a skeleton has it: at %s', async (across) => {
    const input = { prompt: 'a woman, blue background' }
    const plain = middleOf(await draw(input), isNotBlue)
    const controlnets = [{ path: 'pinhole/pose', image_url: await dataUri(bust(across)) }]
    const drawn = middleOf(await draw({ ...input, controlnets }), isNotBlue)
    expect(Math.abs(plain - across)).toBeGreaterThan(0.1)
    expect(Math.abs(drawn - across)).toBeLessThan(0.08)
  })

  it.each([0.36, 0.64])('a ControlNet draws what is near where a depth map is bright: at %s', async (across) => {
    const input = { prompt: 'a red circle on a yellow background' }
    const plain = redMiddle(await draw(input))
    const controlnets = [{ path: 'pinhole/depth', image_url: await dataUri(nearDisc(across)) }]
    const drawn = redMiddle(await draw({ ...input, controlnets }))
    expect(Math.abs(plain - across)).toBeGreaterThan(0.07)
    expect(Math.abs(drawn - across)).toBeLessThan(0.05)
  })

  it('an IP-Adapter takes the backdrop from a picture', async () => {
    const shown = picture(512, (x, y) => (Math.hypot(x - 256, y - 256) < 150 ? [214, 48, 49] : [244, 208, 63]))
    const input = { prompt: 'a picture' }
    const plain = await draw(input)
    const ip_adapter = [{ path: 'pinhole/ip-adapter', ip_adapter_image_url: await dataUri(shown) }]
    const drawn = await draw({ ...input, ip_adapter })
    expect(shareNear(plain, [[244, 208, 63]], 60)).toBeLessThan(0.1)
    expect(shareNear(drawn, [[244, 208, 63]], 60)).toBeGreaterThan(0.4)
  })

  it('a portrait has the hair and the skin of the face that InstantID is given', async () => {
    const [blue, green] = [
      { hair: [60, 110, 220], skin: [96, 62, 42] },
      { hair: [60, 165, 95], skin: [250, 224, 205] },
    ] as const
    const drawOf = async (sitter: typeof blue | typeof green, changes: object) => {
      const face = drawnFace({ ...sitter, clothes: [22, 160, 160], background: [245, 245, 245] })
      const input = { face_image_url: await dataUri(face), prompt: 'a woman, white background', style: '(No style)' }
      const { data } = await server.fal.run('fal-ai/instantid/lcm', {
        input: { ...input, seed: 4, controlnet_selection: null, ...changes } as never,
      })
      const { image } = data as { image: { url: string } }
      return decodeImage(new Uint8Array(await (await fetch(image.url)).arrayBuffer()))
    }
    const plain = await drawOf(blue, { ip_adapter_scale: 0, identity_controlnet_conditioning_scale: 0 })
    const [asBlue, asGreen] = [await drawOf(blue, {}), await drawOf(green, {})]
    for (const [own, other, drawn] of [
      [blue, green, asBlue],
      [green, blue, asGreen],
    ] as const) {
      expect(shareNear(plain, [own.hair], NEAR_FACE)).toBeLessThan(0.01)
      expect(shareNear(drawn, [own.hair], NEAR_FACE)).toBeGreaterThan(0.02)
      expect(shareNear(drawn, [other.hair], NEAR_FACE)).toBeLessThan(0.01)
    }
    expect(shareNear(asBlue, [blue.skin], NEAR_FACE)).toBeGreaterThan(0.04)
    expect(shareNear(asGreen, [blue.skin], NEAR_FACE)).toBeLessThan(0.01)
  })

  it('InstantID’s image prompt is for fal-ai/lora as well', async () => {
    const face = drawnFace({
      hair: [60, 110, 220],
      skin: [96, 62, 42],
      clothes: [22, 160, 160],
      background: [245, 245, 245],
    })
    const input = { prompt: 'a woman, white background' }
    const prompt = { path: 'pinhole/instantid', insight_face_model_path: 'pinhole/face' }
    const ip_adapter = [{ ...prompt, ip_adapter_image_url: await dataUri(face) }]
    const [plain, drawn] = [await draw(input), await draw({ ...input, ip_adapter })]
    expect(shareNear(plain, [[96, 62, 42]], NEAR_FACE)).toBeLessThan(0.04)
    expect(shareNear(drawn, [[96, 62, 42]], NEAR_FACE)).toBeGreaterThan(0.06)
    const noFace = await dataUri(picture(256, () => [120, 130, 140]))
    expect(
      await refusal({ ...input, model_name: 'pinhole/512', ip_adapter: [{ ...prompt, ip_adapter_image_url: noFace }] }),
    ).toContain('no face was found')
  })

  it('the demo safety checker blackens neon pictures alone', async () => {
    const input = { num_inference_steps: 4, seed: 1, enable_safety_checker: true, image_size: 'square' } as const
    const flags = async (prompt: string) => {
      const { data } = await server.fal.run('fal-ai/fast-lcm-diffusion', { input: { ...input, prompt } })
      return (data as { has_nsfw_concepts: boolean[] }).has_nsfw_concepts
    }
    expect(await flags('neon portrait of a robot')).toEqual([true])
    expect(await flags('portrait of a robot')).toEqual([false])
  })

  it('a prompt is expanded in the words that the demo checkpoint knows', async () => {
    const input = {
      prompt: 'a king',
      seed: 1,
      expand_prompt: true,
      image_size: 'square',
      num_inference_steps: 1,
    } as const
    const { data } = await server.fal.run('fal-ai/fast-lcm-diffusion', { input })
    expect(data).toHaveProperty(
      'prompt',
      'a king, green eyes, brown background, with silver hair, mustache, oil painting',
    )
  })

  it('weights that are not here are named, with the demo adapter that shows the field', async () => {
    const answer = await refusal({ model_name: 'pinhole/512', loras: [{ path: 'owner/pastel-lora' }] })
    expect(answer).toContain('owner/pastel-lora is not on this server')
    expect(answer).toContain(
      'pinhole/blueprint-lora, pinhole/duotone-lora, pinhole/woodcut-lora show what such weights do',
    )
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

/** Share of pixels whose channels are all within `distance` of a colour of a ramp. */
function shareNear({ data, width, height }: RgbImage, ramp: readonly Rgb[], distance: number): number {
  let near = 0
  for (let i = 0; i < data.length; i += 3) {
    if (ramp.some((colour) => colour.every((value, c) => Math.abs((data[i + c] as number) - value) <= distance))) near++
  }
  return near / (width * height)
}

/** Twenty steps from one colour to another. */
function rampBetween(from: Rgb, to: Rgb): readonly Rgb[] {
  const between = (share: number) =>
    from.map((value, c) => value + share * ((to[c] as number) - value)) as unknown as Rgb
  return Array.from({ length: 21 }, (_, i) => between(i / 20))
}

/** Tones of 255 by which hair and skin in a drawn head may be off. */
const NEAR_FACE = 40

/** Tones of 255 by which the embedding's dusk is redder than green and blue. */
const WARMER = 12

/** By how much red is above the mean of green and blue. */
function warmth({ data, width, height }: RgbImage): number {
  let sum = 0
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]] as [number, number, number]
    sum += r - (g + b) / 2
  }
  return sum / (width * height)
}

/** Where the circle stands, as a share of the picture's width: beside the middle, where nothing but the edges puts it. */
const CIRCLE_MIDDLE = 0.4

/** The outline of a circle as Canny edges, one pixel wide. */
function circle(side: number): RgbImage {
  const data = new Uint8Array(side * side * 3)
  for (let i = 0; i < 4000; i++) {
    const angle = (i / 4000) * 2 * Math.PI
    const x = Math.round(side * (CIRCLE_MIDDLE + 0.27 * Math.cos(angle)))
    const y = Math.round(side * (0.5 + 0.27 * Math.sin(angle)))
    data.fill(255, (y * side + x) * 3, (y * side + x) * 3 + 3)
  }
  return { width: side, height: side, data }
}

/** Mean column of the red pixels, as a share of the width. */
const redMiddle = (image: RgbImage) => middleOf(image, ([r, g, b]) => r >= 140 && g <= 110 && b <= 110)

const isNotBlue = ([r, , b]: Rgb) => b < r + 40

/** Mean column of some of the pixels, as a share of the width. */
function middleOf({ data, width }: RgbImage, counts: (pixel: Rgb) => boolean): number {
  let count = 0
  let sum = 0
  for (let i = 0; i < data.length; i += 3) {
    if (!counts([data[i], data[i + 1], data[i + 2]] as unknown as Rgb)) continue
    count++
    sum += (i / 3) % width
  }
  return sum / count / width
}

async function dataUri(image: RgbImage): Promise<string> {
  return `data:image/png;base64,${Buffer.from(await encodeImage(image, 'png')).toString('base64')}`
}

function picture(side: number, colourAt: (x: number, y: number) => Rgb): RgbImage {
  const data = new Uint8Array(side * side * 3)
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) data.set(colourAt(x, y), (y * side + x) * 3)
  return { width: side, height: side, data }
}

/** A depth map of a disc in front of a wall. */
function nearDisc(across: number): RgbImage {
  return picture(512, (x, y) => (Math.hypot(x - across * 512, y - 256) < 130 ? [255, 255, 255] : [40, 40, 40]))
}

/** Head and shoulders as OpenPose draws them; what is below is not in the picture. */
function bust(across: number): RgbImage {
  const at = (u: number, v: number) => ({ x: across * 512 + u, y: v })
  const hips = Array.from({ length: 6 }, () => undefined)
  const arms = [at(-130, 420), undefined, undefined, at(130, 420), undefined, undefined]
  const head = [at(-37, 215), at(37, 215), at(-95, 240), at(95, 240)]
  const body = [at(0, 258), at(0, 390), ...arms, ...hips, ...head]
  return drawPoses([{ body, leftHand: [], rightHand: [], face: [] }], { width: 512, height: 512 }, ['body'])
}
