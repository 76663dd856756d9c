import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { decodeImage } from '../../src/image/decode.ts'
import { resizeRgb } from '../../src/image/resize.ts'
import { blackImage, type RgbImage } from '../../src/image/rgb-image.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { type Face, largestFace } from '../../src/vision/face.ts'
import { openMtcnn } from '../../src/vision/mtcnn.ts'
import { DATA } from './model-case.ts'

/** Written by scripts/golden/mtcnn.py. */
interface FaceCase {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly boxes: readonly (readonly number[])[]
  readonly points: readonly (readonly (readonly [number, number])[])[]
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
