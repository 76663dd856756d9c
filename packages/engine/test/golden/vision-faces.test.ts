import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { decodeImage } from '../../src/image/decode.ts'
import { resizeRgb } from '../../src/image/resize.ts'
import { blackImage, type RgbImage } from '../../src/image/rgb-image.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { type Face, largestFace } from '../../src/vision/face.ts'
import { openMoveNet } from '../../src/vision/movenet.ts'
import { openMtcnn } from '../../src/vision/mtcnn.ts'
import { openPoseJoints } from '../../src/vision/pose.ts'
import { DATA } from './model-case.ts'

/** Written by scripts/golden/mtcnn.py. */
interface FaceCase {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly boxes: readonly (readonly number[])[]
  readonly points: readonly (readonly (readonly [number, number])[])[]
}

/** Written by scripts/golden/movenet.py: x, y and score of COCO's joints. */
interface PoseCase extends Omit<FaceCase, 'boxes' | 'points'> {
  readonly points: readonly (readonly [number, number, number])[]
}

const FOLDER = join(DATA, 'vision')
const cases: readonly FaceCase[] = JSON.parse(await readFile(join(FOLDER, 'faces.json'), 'utf8'))
const engine = openEngine({ threads: 1 })
afterAll(() => engine.dispose())
const detector = await openMtcnn(engine.sessions, join(import.meta.dirname, '../../../../models/mtcnn'))
const photograph = async (name: string) => decodeImage(await readFile(join(FOLDER, `${name}.jpg`)))

test.each(cases.map((one) => [`${one.name} ${one.width}x${one.height}`, one] as const))(
  'the faces of %s are where facenet-pytorch finds them',
  async (_, { name, width, height, boxes, points }) => {
    const faces = await detector.detect(resizeRgb(await photograph(name), width, height, 'bilinear'))
    expect(faces).toHaveLength(boxes.length)
    for (const [i, face] of faces.entries()) {
      const { left, top, right, bottom } = face.box
      const actual = [left, top, right, bottom, ...face.keyPoints.flatMap(({ x, y }) => [x, y])]
      const expected = [...(boxes[i]?.slice(0, 4) ?? []), ...(points[i]?.flat() ?? [])]
      // In pixels, of float32 sums in another order.
      for (const [k, value] of expected.entries()) expect(actual[k]).toBeCloseTo(value, 2)
      expect(face.score).toBeCloseTo(boxes[i]?.[4] ?? 0, 4)
    }
  },
)

const poses: readonly PoseCase[] = JSON.parse(await readFile(join(FOLDER, 'poses.json'), 'utf8'))

test.each(poses.map((one) => [`${one.name} ${one.width}x${one.height}`, one] as const))(
  'the pose in %s is what MoveNet’s own graph finds',
  async (_, { name, width, height, points }) => {
    const path = join(import.meta.dirname, '../../../../models/movenet/lightning.onnx')
    const poser = await openMoveNet(engine.sessions, path)
    const found = await poser.detect(resizeRgb(await photograph(name), width, height, 'bilinear'))
    const coco = points.map(([x, y, score]) => (score > 0.3 ? { x, y } : undefined))
    if (coco.every((joint) => joint === undefined)) {
      expect(found).toEqual([])
      return
    }
    const expected = openPoseJoints(coco)
    expect(found).toHaveLength(1)
    for (const [i, joint] of expected.entries()) {
      // In pixels; JPEG decoders and float32 sums differ in their last bits.
      expect(Math.abs((found[0]?.body[i]?.x ?? -1) - (joint?.x ?? -1)), `joint ${i}`).toBeLessThan(0.2)
      expect(Math.abs((found[0]?.body[i]?.y ?? -1) - (joint?.y ?? -1)), `joint ${i}`).toBeLessThan(0.2)
    }
  },
)

test('two people are two faces, of which the larger is chosen', async () => {
  const astronaut = await photograph('astronaut')
  const canvas = { ...blackImage(800, 512) }
  paste(canvas, resizeRgb(astronaut, 288, 288, 'bilinear'), 0)
  paste(canvas, astronaut, 288)
  const faces = await detector.detect(canvas)
  expect(faces).toHaveLength(2)
  const largest = largestFace(faces) as Face
  expect(largest.box.left).toBeGreaterThan(400)
  expect(Math.min(...faces.map(({ box }) => box.left))).toBeLessThan(160)
})

test('a picture smaller than any face has none', async () => {
  expect(await detector.detect(blackImage(9, 9))).toEqual([])
})

function paste(canvas: RgbImage, image: RgbImage, left: number): void {
  for (let y = 0; y < image.height; y++) {
    canvas.data.set(image.data.subarray(y * image.width * 3, (y + 1) * image.width * 3), (y * canvas.width + left) * 3)
  }
}
