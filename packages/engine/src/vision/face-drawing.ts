import { type Colour, ellipsePolygon, fillCircle, fillConvexPolygon } from '../image/drawing.ts'
import { blackImage, type RgbImage } from '../image/rgb-image.ts'
import { defined } from '../tensor/defined.ts'
import type { FaceKeyPoints } from './face.ts'

const COLOURS: readonly Colour[] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 0],
  [255, 0, 255],
]

/** The nose, to which lines lead from the other four points. */
const NOSE = 2

const HALF_WIDTH = 4
const RADIUS = 10

/**
 * The control image of InstantID's IdentityNet: the five points and what joins them on black, as `draw_kps` of InstantID's pipeline
 * draws them from insightface's float32 key points, whose arithmetic stays in float32.
 */
export function drawFaceKeyPoints(keyPoints: FaceKeyPoints, width: number, height: number): RgbImage {
  const canvas = blackImage(width, height)
  const points = keyPoints.map(({ x, y }) => ({ x: Math.fround(x), y: Math.fround(y) }))
  const nose = points[NOSE]
  for (const [i, point] of points.entries()) {
    if (i === NOSE || !nose) continue
    const [dx, dy] = [Math.fround(point.x - nose.x), Math.fround(point.y - nose.y)]
    const length = Math.fround(Math.sqrt(Math.fround(Math.fround(dx * dx) + Math.fround(dy * dy))))
    const middle = {
      x: Math.trunc(Math.fround(Math.fround(point.x + nose.x) / 2)),
      y: Math.trunc(Math.fround(Math.fround(point.y + nose.y) / 2)),
    }
    const degrees = Math.trunc(Math.atan2(dy, dx) * (180 / Math.PI))
    const polygon = ellipsePolygon(middle, [Math.trunc(length / 2), HALF_WIDTH], degrees)
    fillConvexPolygon(canvas, polygon, defined(COLOURS[i]))
  }
  for (let i = 0; i < canvas.data.length; i++) canvas.data[i] = Math.trunc(defined(canvas.data[i]) * 0.6)
  for (const [i, { x, y }] of points.entries()) {
    fillCircle(canvas, { x: Math.trunc(x), y: Math.trunc(y) }, RADIUS, defined(COLOURS[i]))
  }
  return canvas
}
