import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { decodeImage, encodeImage, type RgbImage, resizeRgb } from '@darkroom/engine'
import type { FalClient } from '@fal-ai/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeModel } from '../../../engine/src/formats/onnx.ts'
import { Graph } from '../../../engine/src/graph/graph.ts'
import { reshape, slice } from '../../../engine/src/graph/ops.ts'
import { tarOf } from '../../../engine/test/fixtures/archives.ts'
import { instantIdLcm } from '../../src/endpoints/fal-ai/instantid-lcm/schema.ts'
import { type RealServer, startRealServer } from './real-server.ts'

const GOLDEN = new URL('../../../engine/test/golden/data/', import.meta.url).pathname

/** A network that takes a few pixels for who somebody is, in as many numbers as a tiny adapter wants. */
function pixelEmbedder([channels, rows, columns]: readonly [number, number, number], top = 40): Uint8Array {
  const graph = new Graph('embedder')
  const face = graph.input('input', 'float32', [1, 3, 112, 112])
  const square = slice(slice(slice(face, 1, 0, channels), 2, top, top + rows), 3, 40, 40 + columns)
  graph.output('embedding', reshape(square, [1, channels * rows * columns]))
  return encodeModel(
    graph.model((key) => {
      throw new Error(`no weight ${key}`)
    }),
  )
}

const tar = (files: Readonly<Record<string, Uint8Array>>) =>
  tarOf(Object.entries(files).map(([name, data]) => ({ name, data })))

function crop(
  image: RgbImage,
  { left, top, width, height }: { left: number; top: number; width: number; height: number },
) {
  const rows = Array.from({ length: height }, (_, y) => {
    const start = ((top + y) * image.width + left) * 3
    return image.data.subarray(start, start + width * 3)
  })
  return { width, height, data: new Uint8Array(Buffer.concat(rows)) }
}

/** A picture whose pixels are squares of `scale`, on black. */
function repeatPixels(image: RgbImage, scale: number, size: { width: number; height: number }, left = 0): RgbImage {
  const data = new Uint8Array(size.width * size.height * 3)
  for (let y = 0; y < Math.min(size.height, image.height * scale); y++) {
    for (let x = left; x < Math.min(size.width, left + image.width * scale); x++) {
      const from = (Math.floor(y / scale) * image.width + Math.floor((x - left) / scale)) * 3
      const to = (y * size.width + x) * 3
      for (let c = 0; c < 3; c++) data[to + c] = image.data[from + c] as number
    }
  }
  return { ...size, data }
}

/** A value that lies between two whole numbers is rounded either way. */
function expectSamePixels(actual: RgbImage, expected: RgbImage): void {
  expect([actual.width, actual.data.length]).toEqual([expected.width, expected.data.length])
  const differences = Array.from(expected.data, (value, i) => Math.abs(value - (actual.data[i] as number)))
  expect(Math.max(...differences)).toBeLessThanOrEqual(1)
  expect(differences.filter((value) => value > 0).length / differences.length).toBeLessThan(0.01)
}

/** The whole server with tiny models of the real architectures, and a photograph. */
describe('faces and poses', { timeout: 180_000 }, () => {
  let server: RealServer
  let fal: FalClient

  beforeAll(async () => {
    server = await startRealServer(async (folder) => {
      const models = join(folder, 'models')
      await cp(join(GOLDEN, 'checkpoints'), join(models, 'tiny'), { recursive: true })
      await cp(join(GOLDEN, 'conditioning'), join(models, 'parts'), { recursive: true })
      await mkdir(join(models, 'insightface/antelopev2'), { recursive: true })
      await writeFile(join(models, 'insightface/antelopev2/glintr100.onnx'), pixelEmbedder([3, 2, 2]))
      await mkdir(join(models, 'packs/mine'), { recursive: true })
      await cp(join(GOLDEN, 'vision/scrfd.onnx'), join(models, 'packs/mine/det_10g.onnx'))
      await writeFile(join(models, 'packs/mine/w600k_r50.onnx'), pixelEmbedder([1, 2, 7]))
      await writeFile(join(models, 'packs/other.onnx'), pixelEmbedder([1, 2, 7], 60))
      await mkdir(join(models, 'yzd-v/DWPose'), { recursive: true })
      await cp(join(GOLDEN, 'vision/yolox.onnx'), join(models, 'yzd-v/DWPose/yolox_l.onnx'))
      await cp(join(GOLDEN, 'vision/simcc.onnx'), join(models, 'yzd-v/DWPose/dw-ll_ucoco_384.onnx'))
      await mkdir(join(models, 'Xenova/dpt-hybrid-midas/onnx'), { recursive: true })
      await cp(join(GOLDEN, 'vision/dpt/model.onnx'), join(models, 'Xenova/dpt-hybrid-midas/onnx/model.onnx'))
      const recipes = {
        'fal-ai/instantid/lcm': {
          model: 'tiny/tiny-sdxl',
          identity_controlnet: 'parts/controlnet-sdxl',
          ip_adapter: 'parts/instantid-sdxl.safetensors',
          canny_controlnet: 'parts/controlnet-sdxl-small',
          depth_controlnet: 'parts/controlnet-sdxl-small',
          pose_controlnet: 'parts/controlnet-sdxl-small',
          lcm_lora: '',
          shorter_side: 128,
          longer_side: 128,
        },
        'fal-ai/controlnet-ip-adapter': {
          model: 'tiny/tiny-sd15',
          ip_adapter: 'parts/base.safetensors',
          ip_adapter_subfolder: '',
          ip_adapter_weight_name: '',
          image_encoder: 'parts/image-encoder',
          pose_controlnet: 'parts/controlnet-sd15',
          steps: 4,
        },
      }
      const recipesFile = join(folder, 'recipes.json')
      await writeFile(recipesFile, JSON.stringify(recipes))
      return { DARKROOM_MODELS: models, DARKROOM_RECIPES: recipesFile, DARKROOM_DOWNLOADS: 'never' }
    })
    fal = server.fal
  })

  afterAll(() => server.stop())

  async function photograph(name: string): Promise<string> {
    const bytes = await readFile(join(GOLDEN, 'vision', `${name}.jpg`))
    return `data:image/jpeg;base64,${bytes.toString('base64')}`
  }

  async function dataUri(picture: RgbImage): Promise<string> {
    return `data:image/jpeg;base64,${Buffer.from(await encodeImage(picture, 'jpeg')).toString('base64')}`
  }

  async function small(name: string): Promise<string> {
    const picture = resizeRgb(await decodeImage(await readFile(join(GOLDEN, `vision/${name}.jpg`))), 96, 64, 'bilinear')
    return `data:image/png;base64,${Buffer.from(await encodeImage(picture, 'png')).toString('base64')}`
  }

  async function identity(input: object): Promise<{ readonly pixels: string; readonly width: number }> {
    const face_image_url = await photograph('astronaut')
    const { data } = await fal.subscribe('fal-ai/instantid/lcm', {
      input: { face_image_url, prompt: 'a person in a garden', seed: 3, num_inference_steps: 1, ...input },
      pollInterval: 50,
    })
    const { image, seed } = data as { image: { url: string; width: number; content_type: string }; seed: number }
    expect(seed).toBe(3)
    expect(image.content_type).toBe('image/png')
    const response = await fetch(image.url)
    const picture = await decodeImage(new Uint8Array(await response.arrayBuffer()))
    expect(picture.width).toBe(image.width)
    return { pixels: Buffer.from(picture.data).toString('base64'), width: image.width }
  }

  it('draws the person of a photograph; every part of it has its say', async () => {
    const drawn = await identity({})
    expect(drawn.width).toBe(128)
    expect(await identity({})).toEqual(drawn)
    const changes = [
      { controlnet_conditioning_scale: 0 },
      { ip_adapter_scale: 0 },
      { identity_controlnet_conditioning_scale: 0 },
      { enhance_face_region: false },
      { negative_prompt: 'trees' },
    ]
    for (const change of changes) expect((await identity(change)).pixels).not.toBe(drawn.pixels)
  })

  it.each([
    ['identity-region', {}],
    ['identity-everywhere', { enhance_face_region: false, controlnet_selection: null }],
  ])('draws what the reference draws of the same photograph: %s', async (name, changes) => {
    const bytes = await readFile(join(GOLDEN, 'vision/identity.png'))
    const drawn = await identity({
      face_image_url: `data:image/png;base64,${bytes.toString('base64')}`,
      style: '(No style)',
      negative_prompt: 'night',
      num_inference_steps: 2,
      ...changes,
    })
    const expected = await decodeImage(await readFile(join(GOLDEN, `vision/${name}.png`)))
    expectSamePixels({ ...expected, width: drawn.width, data: Buffer.from(drawn.pixels, 'base64') }, expected)
  })

  it('draws every style, and every further ControlNet and none', async () => {
    const { style, controlnet_selection } = instantIdLcm.input.shape
    const drawn = new Set<string>()
    const inputs = [
      ...style.unwrap().options.map((one) => ({ style: one })),
      ...[null, ...controlnet_selection.unwrap().unwrap().options].map((one) => ({ controlnet_selection: one })),
    ]
    for (const input of inputs) drawn.add((await identity(input)).pixels)
    // The defaults are drawn twice.
    expect(drawn.size).toBe(inputs.length - 1)
    await expect(identity({ style: 'Cubism' })).rejects.toMatchObject({ status: 422 })
    await expect(identity({ controlnet_selection: 'lineart' })).rejects.toMatchObject({ status: 422 })
  })

  it('draws faces from small and large pictures, and of two faces the larger', async () => {
    const whole = await decodeImage(await readFile(join(GOLDEN, 'vision/astronaut.jpg')))
    const face = crop(whole, { left: 150, top: 40, width: 150, height: 150 })
    const large = repeatPixels(face, 40, { width: 8000, height: 6000 })
    for (const picture of [resizeRgb(face, 50, 50, 'bilinear'), large]) {
      const face_image_url = await dataUri(picture)
      expect((await identity({ face_image_url })).width).toBe(128)
    }
    const size = { width: 600, height: 400 }
    const two = repeatPixels(resizeRgb(face, 400, 400, 'bilinear'), 1, size)
    const beside = repeatPixels(resizeRgb(face, 200, 200, 'bilinear'), 1, size, 400)
    const both = { ...size, data: two.data.map((value, i) => Math.max(value, beside.data[i] as number)) }
    const alone = await identity({ face_image_url: await dataUri(two), controlnet_selection: null })
    expect(await identity({ face_image_url: await dataUri(both), controlnet_selection: null })).toEqual(alone)
  })

  it('a picture without a face is the face picture’s 422', async () => {
    const input = { face_image_url: await photograph('cat'), prompt: 'a person' }
    const failed = fal.subscribe('fal-ai/instantid/lcm', { input, pollInterval: 50 })
    const detail = [{ loc: ['body', 'face_image_url'], type: 'face_detection_error' }]
    await expect(failed).rejects.toMatchObject({ status: 422, body: { detail } })
  })

  it('FaceID adapters of fal-ai/lora see with the networks that the request names', async () => {
    const image = await photograph('astronaut')
    const draw = async (insight_face_model_path: string | null) => {
      const ip_adapter_image_url = image
      const adapter = { path: 'parts/face-id.safetensors', ip_adapter_image_url, insight_face_model_path }
      const input: Record<string, unknown> & { readonly model_name: string; readonly prompt: string } = {
        model_name: 'tiny/tiny-sd15',
        prompt: 'a person',
        image_size: { width: 64, height: 48 },
        num_inference_steps: 1,
        seed: 1,
        ip_adapter: [adapter],
      }
      const { data } = await fal.subscribe('fal-ai/lora', { input, pollInterval: 50 })
      const [drawn] = (data as { images: { url: string }[] }).images
      const response = await fetch(drawn?.url ?? '')
      const { data: pixels } = await decodeImage(new Uint8Array(await response.arrayBuffer()))
      return createHash('sha256').update(pixels).digest('hex')
    }
    const pack = await draw('packs/mine')
    expect(await draw('packs/mine/')).toBe(pack)
    expect(await draw('packs/mine/w600k_r50.onnx')).not.toBe(pack)
    expect(await draw('packs/other.onnx')).not.toBe(pack)
    // The server's own network is for another adapter.
    const refusals = [
      [null, /must have 14 numbers, got 12/],
      ['antelopev2', /scrfd_10g_bnkps\.onnx/],
      ['packs/nothing', /There is no packs\/nothing|packs\/nothing/],
    ] as const
    for (const [named, message] of refusals) {
      const error = await draw(named).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ status: 422 })
      expect(JSON.stringify((error as { body: unknown }).body)).toMatch(message)
    }
  })

  it('draws the subject of an archive in the pose of a picture', async () => {
    const [cat, person] = await Promise.all(
      ['cat', 'astronaut'].map((name) => readFile(join(GOLDEN, `vision/${name}.jpg`))),
    )
    const archive = (files: Record<string, Uint8Array>) =>
      `data:application/gzip;base64,${gzipSync(tar(files)).toString('base64')}`
    const draw = async (files: Record<string, Uint8Array>) => {
      const { data } = await fal.subscribe('fal-ai/controlnet-ip-adapter', {
        input: {
          prompt: 'portrait of a man',
          negative_prompt: 'bad art',
          reference_image_url: await small('cat'),
          reference_pose_image_url: await photograph('astronaut'),
          ip_archive_url: archive(files),
          seed: 5,
        },
        pollInterval: 50,
      })
      const { images, timings } = data as {
        images: { url: string; width: number; file_size: number }[]
        timings: Record<string, number>
      }
      expect(Object.keys(timings)).toEqual(expect.arrayContaining(['archive', 'pose', 'inference']))
      const response = await fetch(images[0]?.url ?? '')
      const bytes = Buffer.from(await response.arrayBuffer())
      expect(images[0]?.file_size).toBe(bytes.length)
      return bytes.toString('base64')
    }
    const one = await draw({ 'a.jpg': cat as Uint8Array })
    const both = await draw({
      'a.jpg': cat as Uint8Array,
      '__MACOSX/._b.jpg': new Uint8Array(8),
      'b/b.jpg': person as Uint8Array,
    })
    expect(both).not.toBe(one)
  })

  it('draws what the reference draws in a pose, with two image prompts, from a picture', async () => {
    const [person, start, expected] = await Promise.all(
      ['identity', 'pose-start', 'pose'].map((name) => readFile(join(GOLDEN, `vision/${name}.png`))),
    )
    const uri = (bytes: Uint8Array | undefined) =>
      `data:image/png;base64,${Buffer.from(bytes ?? []).toString('base64')}`
    const files = { 'a.png': person as Uint8Array, 'b.png': start as Uint8Array }
    const { data } = await fal.subscribe('fal-ai/controlnet-ip-adapter', {
      input: {
        prompt: 'a person in a garden',
        negative_prompt: 'night',
        reference_image_url: uri(start),
        reference_pose_image_url: uri(person),
        ip_archive_url: `data:application/gzip;base64,${gzipSync(tar(files)).toString('base64')}`,
        seed: 3,
      },
      pollInterval: 50,
    })
    const [image] = (data as { images: { url: string }[] }).images
    const response = await fetch(image?.url ?? '')
    expectSamePixels(
      await decodeImage(new Uint8Array(await response.arrayBuffer())),
      await decodeImage(expected as Buffer),
    )
  })

  it('hostile archives are one sentence each', async () => {
    const [cat, person] = await Promise.all(['cat', 'astronaut'].map((name) => photograph(name)))
    const file = new Uint8Array(8)
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`${i}.png`, new Uint8Array(0)]))
    const hostile: readonly (readonly [Uint8Array, RegExp])[] = [
      [gzipSync(tar({ 'readme.txt': file })), /holds no pictures/],
      [gzipSync(tar({ '../../up.png': file })), /which leads out of it/],
      [gzipSync(tar({ 'a.png': new Uint8Array(130_000_000) })), /unpacks to more than 128 MB/],
      [tar(many), /more than 1000 entries/],
      [gzipSync(tar({ 'a.png': file })), /no .*picture/],
      [new Uint8Array(0), /archive/],
    ]
    const before = await readdir(server.folder, { recursive: true })
    for (const [archive, message] of hostile) {
      const response = await fetch(`${server.url}/run/fal-ai/controlnet-ip-adapter`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          prompt: 'a man',
          reference_image_url: cat,
          reference_pose_image_url: person,
          ip_archive_url: `data:application/x-tar;base64,${Buffer.from(archive).toString('base64')}`,
        }),
      })
      expect(response.status).toBe(422)
      const { detail } = (await response.json()) as { detail: { loc: unknown[]; msg: string; type: string }[] }
      expect(detail).toHaveLength(1)
      expect(detail[0]?.type).toMatch(/^(invalid_archive|image_load_error)$/)
      expect(detail[0]?.loc.slice(0, 2)).toEqual(['body', 'ip_archive_url'])
      expect(detail[0]?.msg).toMatch(message)
      expect(detail[0]?.msg).not.toContain('\n')
    }
    expect(await readdir(server.folder, { recursive: true })).toEqual(before)
  })
})
