import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { normalizeEmbedding, openArcFace } from '../../src/vision/arcface.ts'
import { openDepthEstimator } from '../../src/vision/depth.ts'
import { openDwPose } from '../../src/vision/dwpose.ts'
import { type FaceKeyPoints, largestFace } from '../../src/vision/face.ts'
import { PictureThread } from '../../src/vision/picture-thread.ts'
import type { PointList } from '../../src/vision/pose.ts'
import { openScrfd } from '../../src/vision/scrfd.ts'
import { DATA } from './model-case.ts'
import { paint } from './vision-drawings.ts'

type Pair = readonly [number, number]

/** Written by scripts/golden/detectors.py. */
interface PictureCase {
  readonly kind: 'rings' | 'noise'
  readonly width: number
  readonly height: number
  readonly seed: number
  readonly faces: readonly {
    readonly box: readonly number[]
    readonly points: readonly Pair[]
    readonly score: number
  }[]
  readonly face_count: number
  readonly embedding: readonly number[] | null
  readonly poses: readonly (readonly (Pair | null)[])[]
  /** Face, left hand and right hand of the first. */
  readonly parts: readonly (readonly (Pair | null)[])[]
  readonly people: number
  readonly depth: Readonly<Record<string, { readonly mean: number; readonly corners: readonly (readonly number[])[] }>>
}

const FOLDER = join(DATA, 'vision')
const cases: readonly PictureCase[] = JSON.parse(await readFile(join(FOLDER, 'detectors.json'), 'utf8'))
const pictures = cases.map((one) => [`${one.kind} ${one.width}x${one.height}`, one, paint(one)] as const)
const engine = openEngine({ threads: 1 })
afterAll(() => engine.dispose())
const pictureThread = new PictureThread()
afterAll(() => pictureThread.dispose())

/** In pixels; the networks' own float32 sums differ by about 1e-5. */
const TOLERANCE = 1e-3

function difference(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length)
  return Math.max(0, ...expected.map((value, i) => Math.abs(value - (actual[i] as number))))
}

test.each(pictures)('SCRFD and ArcFace see in %s what insightface’s code sees', async (_, one, image) => {
  const detector = await openScrfd(engine.sessions, join(FOLDER, 'scrfd.onnx'))
  const faces = await detector.detect(image)
  expect(faces).toHaveLength(one.face_count)
  for (const [i, expected] of one.faces.entries()) {
    const face = faces[i]
    if (!face) throw new Error(`face ${i} is missing`)
    const { left, top, right, bottom } = face.box
    expect(difference([left, top, right, bottom], expected.box)).toBeLessThan(TOLERANCE)
    const points = face.keyPoints.flatMap(({ x, y }) => [x, y])
    expect(difference(points, expected.points.flat())).toBeLessThan(TOLERANCE)
    expect(face.score).toBeCloseTo(expected.score, 5)
  }
  const [first] = one.faces
  if (!first || !one.embedding) return
  // From the very points of the script: a last bit of theirs turns a pixel of noise by one.
  const points = first.points.map(([x, y]) => ({ x, y })) as unknown as FaceKeyPoints
  const embedder = await openArcFace(engine.sessions, join(FOLDER, 'arcface.onnx'))
  const embedding = await embedder.embed(image, points)
  expect(embedding.shape).toEqual([1, 32])
  // Of its length: what is compared are directions.
  expect(difference([...embedding.data], one.embedding) / Math.hypot(...one.embedding)).toBeLessThan(TOLERANCE)
  expect(Math.hypot(...normalizeEmbedding(embedding).data)).toBeCloseTo(1, 6)
})

test.each(pictures)('DWPose sees in %s what its own code sees', async (_, one, image) => {
  const detector = await openDwPose(engine.sessions, join(FOLDER, 'yolox.onnx'), join(FOLDER, 'simcc.onnx'))
  const poses = await detector.detect(image)
  expect(poses).toHaveLength(Math.max(1, one.people))
  for (const [i, expected] of one.poses.entries()) expectSamePoints(poses[i]?.body, expected)
  const [first] = poses
  const [face, leftHand, rightHand] = one.parts
  expectSamePoints(first?.face, face)
  expectSamePoints(first?.leftHand, leftHand)
  expectSamePoints(first?.rightHand, rightHand)
})

function expectSamePoints(actual: PointList | undefined, expected: readonly (Pair | null)[] | undefined): void {
  expect(actual?.map((point) => point !== undefined)).toEqual(expected?.map((point) => point !== null))
  const coordinates = actual?.flatMap((point) => (point ? [point.x, point.y] : [])) ?? []
  expect(difference(coordinates, expected?.flatMap((pair) => pair ?? []) ?? [])).toBeLessThan(TOLERANCE)
}

test.each([
  ['dpt', 'dpt/model.onnx'],
  ['depth-anything', 'depth-anything/onnx/model.onnx'],
])('%s gives the depth that transformers gives', async (name, path) => {
  const estimator = await openDepthEstimator(engine.sessions, join(FOLDER, path))
  const seen = cases.filter(({ depth }) => name in depth)
  expect(seen.length).toBeGreaterThan(10)
  for (const one of seen) {
    const expected = one.depth[name]
    const { data: pixels, width, height } = await estimator.estimate(paint(one), pictureThread)
    const data = pixels.filter((_, i) => i % 3 === 0)
    expect([width, height]).toEqual([one.width, one.height])
    expect(data.reduce((sum, value) => sum + value, 0) / data.length).toBeCloseTo(expected?.mean ?? Number.NaN, 1)
    const [rowStep, columnStep] = [Math.max(1, Math.floor(height / 5)), Math.max(1, Math.floor(width / 5))]
    const corners = expected?.corners.map((row, y) => row.map((_, x) => data[y * rowStep * width + x * columnStep]))
    // Truncated to whole numbers, a last bit of float32 may show as one.
    expect(difference(corners?.flat() as number[], expected?.corners.flat() ?? [])).toBeLessThanOrEqual(1)
  }
})

test('the largest face is the one with the largest box', async () => {
  const detector = await openScrfd(engine.sessions, join(FOLDER, 'scrfd.onnx'))
  const faces = await detector.detect(paint(cases[0] as PictureCase))
  const areas = faces.map(({ box }) => (box.right - box.left) * (box.bottom - box.top))
  expect(largestFace(faces)).toBe(faces[areas.indexOf(Math.max(...areas))])
  expect(largestFace([])).toBeUndefined()
})

test('another model’s file is refused by name', async () => {
  await expect(openScrfd(engine.sessions, join(FOLDER, 'simcc.onnx'))).rejects.toThrow(
    /simcc\.onnx is not an SCRFD face detector with key points: it takes input float32 \[-1, 3, 384, 288\]/,
  )
})
