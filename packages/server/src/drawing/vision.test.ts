import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  cannyEdges,
  decodeImage,
  greyToRgb,
  largestFace,
  normalizeEmbedding,
  openEngine,
  type RgbImage,
} from '@darkroom/engine'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { DRAWN_EYES, drawnFace, type Sitter } from '../../test/fakes/drawn-face.ts'
import { localModels } from '../../test/fakes/local-models.ts'
import type { EndpointSchema, HandlerContext } from '../endpoints/endpoint.ts'
import { createEndpoints } from '../endpoints/fal-ai/image-preprocessors/handler.ts'
import { canny, depthAnything, dwPose, midasDepth } from '../endpoints/fal-ai/image-preprocessors/schema.ts'
import { ModelRegistry } from '../models/model-registry.ts'
import { ImageEngine } from './image-engine.ts'

const NETWORKS = join(import.meta.dirname, '../../../engine/test/golden/data/vision')
const BUNDLED = join(import.meta.dirname, '../../../../models')
const photograph = new Uint8Array(await readFile(join(NETWORKS, 'astronaut.jpg')))

const shared = openEngine({ threads: 1 })
const created: string[] = []
let models: string
let engine: ImageEngine
let log: string[]
let files: Map<string, Uint8Array>

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'darkroom-vision-'))
  created.push(models)
  const registry = new ModelRegistry({ modelFolders: [models], hubCaches: [], bundledFolder: BUNDLED })
  engine = new ImageEngine({ engine: shared, registry, store: localModels(models).store })
  log = []
  files = new Map()
})

afterAll(async () => {
  await shared.dispose()
  for (const folder of created) await rm(folder, { recursive: true, force: true })
})

async function install(network: string, reference: string): Promise<void> {
  const path = join(models, reference)
  await mkdir(dirname(path), { recursive: true })
  await copyFile(join(NETWORKS, network), path)
}

const context: HandlerContext = {
  requestId: 'request',
  signal: new AbortController().signal,
  streaming: false,
  inlineBytes: false,
  log: (message) => log.push(message),
  async saveFile(bytes, contentType, extension) {
    const fileName = `${files.size}.${extension}`
    files.set(fileName, bytes)
    return { url: `http://127.0.0.1/${fileName}`, contentType, fileName, fileSize: bytes.length }
  },
  readFile: async (url) => (url === 'text' ? new TextEncoder().encode('no picture') : photograph),
  openOwnFile: async () => undefined,
  reserveMemory: async () => {},
  handOnDevice: async () => {},
  setHeader() {},
}

/** The control image that an endpoint makes of the photograph. */
async function run(schema: EndpointSchema, input: object = {}): Promise<RgbImage> {
  const endpoint = createEndpoints(engine).find((one) => one.schema === schema)
  const parsed = schema.input.parse({ image_url: 'https://example.com/a.jpg', ...input })
  // Each request has a context of its own, which remembers what it found.
  const drawing = await endpoint?.handler(parsed, { ...context })
  const { value } = (await drawing?.next()) ?? {}
  const { image } = value as { image: { file_name: string; content_type: string; width: number } }
  expect(image).toMatchObject({ content_type: 'image/png', width: 512, height: 512 })
  return decodeImage(files.get(image.file_name) ?? new Uint8Array())
}

/** Comparing arrays of a million elements by `toEqual` takes a minute. */
const isSame = (a: RgbImage, b: RgbImage) => a.width === b.width && Buffer.compare(a.data, b.data) === 0

describe('without any model', () => {
  test('canny draws the edges, by the thresholds', async () => {
    const picture = await decodeImage(photograph)
    expect(isSame(await run(canny), greyToRgb(cannyEdges(picture, 100, 200)))).toBe(true)
    const more = await run(canny, { low_threshold: 20, high_threshold: 60 })
    expect(isSame(more, greyToRgb(cannyEdges(picture, 20, 60)))).toBe(true)
  })

  test('depth says what to fetch', async () => {
    await expect(run(depthAnything)).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('darkroom pull onnx-community/depth-anything-v2-small/onnx/model.onnx'),
    })
    await expect(run(midasDepth)).rejects.toThrow('darkroom pull Xenova/dpt-hybrid-midas/onnx/model.onnx')
  })

  test('the bundled network draws the pose, and the log says what would see more', async () => {
    const { data } = await run(dwPose)
    const colours = new Set<string>()
    for (let i = 0; i < data.length; i += 3) colours.add(String(data.subarray(i, i + 3)))
    // The discs of the nose, the neck and both shoulders.
    for (const colour of ['255,0,0', '255,85,0', '255,170,0', '85,255,0']) expect(colours).toContain(colour)
    expect(log).toEqual([expect.stringContaining('darkroom pull yzd-v/DWPose/yolox_l.onnx')])
    await expect(run(dwPose, { draw_mode: 'full-pose' })).rejects.toMatchObject({
      detail: [
        {
          loc: ['body', 'draw_mode'],
          type: 'value_error',
          msg: expect.stringContaining('darkroom pull yzd-v/DWPose/yolox_l.onnx yzd-v/DWPose/dw-ll_ucoco_384.onnx'),
        },
      ],
    })
  })

  test('faces are found in photographs, but not told apart', async () => {
    const detector = await engine.vision.faceDetector(context)
    const [face, ...others] = await detector.detect(await decodeImage(photograph))
    expect(others).toEqual([])
    expect(face?.box.left).toBeCloseTo(180, 0)
    expect(log).toEqual([])
    await expect(engine.vision.faceNetworks(context)).rejects.toThrow(
      'darkroom pull DIAMONIK7777/antelopev2/scrfd_10g_bnkps.onnx DIAMONIK7777/antelopev2/glintr100.onnx',
    )
  })

  test('the demo’s pack finds drawn faces and tells them apart, for whatever use', async () => {
    await cp(join(BUNDLED, 'pinhole-face'), join(models, 'pinhole/face'), { recursive: true })
    const { detector, embedder } = await engine.vision.faceNetworks(context, 'pinhole/face')
    const red: Sitter = {
      hair: [178, 62, 34],
      skin: [240, 200, 165],
      clothes: [22, 160, 160],
      background: [244, 208, 63],
    }
    const blue: Sitter = { ...red, hair: [60, 110, 220], skin: [96, 62, 42] }
    const otherwise: Sitter = { ...red, clothes: [30, 30, 36], background: [125, 60, 190] }
    const read = async (sitter: Sitter) => {
      const face = largestFace(await detector.detect(drawnFace(sitter)))
      if (!face) throw new Error('no face was found')
      return { face, unit: normalizeEmbedding(await embedder.embed(drawnFace(sitter), face.keyPoints)).data }
    }
    const [one, same, other] = [await read(red), await read(otherwise), await read(blue)]
    for (const [i, [x, y]] of DRAWN_EYES.entries()) {
      expect(Math.hypot((one.face.keyPoints[i]?.x ?? 0) - x, (one.face.keyPoints[i]?.y ?? 0) - y)).toBeLessThan(20)
    }
    const likeness = (a: ArrayLike<number>, b: ArrayLike<number>) =>
      Array.from(a).reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
    expect(likeness(one.unit, same.unit)).toBeGreaterThan(likeness(one.unit, other.unit) + 0.2)
    expect(log).toEqual([])
  })

  test('what is no picture is the field’s error', async () => {
    await expect(run(canny, { image_url: 'text' })).rejects.toMatchObject({
      status: 422,
      detail: [expect.objectContaining({ loc: ['body', 'image_url'], type: 'image_load_error' })],
    })
  })
})

describe('with models on this machine', () => {
  test('depth comes from the wanted network, or the one that is here', async () => {
    await install('depth-anything/onnx/model.onnx', 'onnx-community/depth-anything-v2-small/onnx/model.onnx')
    await install(
      'depth-anything/preprocessor_config.json',
      'onnx-community/depth-anything-v2-small/preprocessor_config.json',
    )
    const anything = await run(depthAnything)
    expect(isSame(await run(midasDepth), anything)).toBe(true)
    expect(new Set(anything.data).size).toBeGreaterThan(100)
    await install('dpt/model.onnx', 'Xenova/dpt-hybrid-midas/onnx/model.onnx')
    expect(isSame(await run(midasDepth), anything)).toBe(false)
  })

  test('every way of drawing people is drawn, each its own', async () => {
    await install('yolox.onnx', 'yzd-v/DWPose/yolox_l.onnx')
    await install('simcc.onnx', 'yzd-v/DWPose/dw-ll_ucoco_384.onnx')
    const modes = dwPose.input.shape.draw_mode.unwrap().options
    const drawn = new Map<string, RgbImage>()
    for (const draw_mode of modes) drawn.set(draw_mode, await run(dwPose, { draw_mode }))
    const skeletons = ['full-pose', 'body-pose', 'face-pose', 'hand-pose'].map((mode) => drawn.get(mode))
    expect(new Set(skeletons.map((one) => one && Buffer.from(one.data).toString('base64'))).size).toBe(4)
    const [both, faces, hands] = ['face-hand-mask', 'face-mask', 'hand-mask'].map((mode) => drawn.get(mode)?.data)
    expect(new Set(hands)).toEqual(new Set([0, 255]))
    expect(Buffer.compare(faces ?? Buffer.of(), hands ?? Buffer.of())).not.toBe(0)
    expect(both?.every((value, i) => value === Math.max(faces?.[i] ?? -1, hands?.[i] ?? -1))).toBe(true)
    expect(isSame(await run(dwPose), await run(dwPose, { draw_mode: 'body-pose' }))).toBe(true)
  })

  test('OpenPose’s body network looks for poses where DWPose is not', async () => {
    await install('openpose.pth', 'lllyasviel/Annotators/body_pose_model.pth')
    const detector = await engine.vision.poseDetector(context)
    expect(detector.findsHandsAndFaces).toBe(false)
    expect(await detector.detect(await decodeImage(photograph))).toBeInstanceOf(Array)
    expect(log).toEqual(['lllyasviel/Annotators/body_pose_model.pth is licensed for non-commercial research only'])
    await expect(run(dwPose, { draw_mode: 'full-pose' })).rejects.toMatchObject({ status: 422 })
    await install('yolox.onnx', 'yzd-v/DWPose/yolox_l.onnx')
    await install('simcc.onnx', 'yzd-v/DWPose/dw-ll_ucoco_384.onnx')
    expect((await engine.vision.poseDetector(context)).findsHandsAndFaces).toBe(true)
  })

  test('insightface’s pack goes before the bundled detector and says what its licence forbids', async () => {
    await install('scrfd.onnx', 'insightface/buffalo_l/det_10g.onnx')
    await install('arcface.onnx', 'insightface/buffalo_l/w600k_r50.onnx')
    const detector = await engine.vision.faceDetector(context)
    expect(await engine.vision.faceDetector(context)).toBe(detector)
    expect(log).toEqual(['insightface/buffalo_l is licensed for non-commercial research only'])
    const { embedder } = await engine.vision.faceNetworks(context)
    const [face] = await detector.detect(await decodeImage(photograph))
    if (!face) throw new Error('the tiny detector sees faces everywhere')
    expect((await embedder.embed(await decodeImage(photograph), face.keyPoints)).shape).toEqual([1, 32])
  })

  test('a face is looked for once in pictures of the same content, and anew with other networks', async () => {
    await install('arcface.onnx', 'insightface/antelopev2/glintr100.onnx')
    const picture = await decodeImage(photograph)
    const seen = await engine.faceAnalysis.analyze(picture, context)
    expect(seen.embedding?.shape).toEqual([1, 32])
    const same = { ...picture, data: picture.data.slice() }
    expect(await engine.faceAnalysis.analyze(same, context)).toBe(seen)
    const other = { ...picture, data: picture.data.with(0, 255 - (picture.data[0] as number)) }
    expect(await engine.faceAnalysis.analyze(other, context)).not.toBe(seen)
    await install('arcface.onnx', 'packs/other.onnx')
    expect(await engine.faceAnalysis.analyze(picture, context, 'packs/other.onnx')).not.toBe(seen)
  })

  test('a file that is another model is an error with its name', async () => {
    await install('yolox.onnx', 'insightface/antelopev2/scrfd_10g_bnkps.onnx')
    await expect(engine.vision.faceDetector(context)).rejects.toMatchObject({
      status: 422,
      message: expect.stringMatching(/scrfd_10g_bnkps\.onnx is not an SCRFD face detector/),
    })
    await writeFile(join(models, 'insightface/antelopev2/scrfd_10g_bnkps.onnx'), '<html>')
    await expect(engine.vision.faceDetector(context)).rejects.toMatchObject({ status: 422 })
  })
})
