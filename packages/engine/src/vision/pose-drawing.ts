import {
  type Colour,
  convexHull,
  drawThickLine,
  ellipsePolygon,
  fillCircle,
  fillConvexPolygon,
  type Point,
} from '../image/drawing.ts'
import { blackImage, type RgbImage } from '../image/rgb-image.ts'
import { defined } from '../tensor/defined.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { KeyPoint } from './face.ts'
import type { PointList, Pose } from './pose.ts'

interface CanvasSize {
  readonly width: number
  readonly height: number
}

export type PosePart = 'body' | 'hands' | 'face'

/** What a mask may show. */
export type MaskPart = Exclude<PosePart, 'body'>

const JOINT_COLOURS: readonly Colour[] = [
  [255, 0, 0],
  [255, 85, 0],
  [255, 170, 0],
  [255, 255, 0],
  [170, 255, 0],
  [85, 255, 0],
  [0, 255, 0],
  [0, 255, 85],
  [0, 255, 170],
  [0, 255, 255],
  [0, 170, 255],
  [0, 85, 255],
  [0, 0, 255],
  [85, 0, 255],
  [170, 0, 255],
  [255, 0, 255],
  [255, 0, 170],
  [255, 0, 85],
]

/** Pairs of joints; a limb has the colour of its place in this list. */
const LIMBS: readonly (readonly [number, number])[] = [
  [1, 2],
  [1, 5],
  [2, 3],
  [3, 4],
  [5, 6],
  [6, 7],
  [1, 8],
  [8, 9],
  [9, 10],
  [1, 11],
  [11, 12],
  [12, 13],
  [1, 0],
  [0, 14],
  [14, 16],
  [0, 15],
  [15, 17],
]

const LIMB_HALF_WIDTH = 4
const JOINT_RADIUS = 4
const FACE_RADIUS = 3
const HAND_POINT: Colour = [0, 0, 255]
const WHITE: Colour = [255, 255, 255]

/** Bones of a hand: from the wrist along the thumb and each finger, in colours around the circle of hues. */
const BONES = Array.from({ length: 20 }, (_, i) => ({
  from: i % 4 === 0 ? 0 : i,
  to: i + 1,
  colour: hueColour(i / 20),
}))

/** matplotlib's `hsv_to_rgb([hue, 1, 1])` in whole numbers up to 255. */
function hueColour(hue: number): Colour {
  const sector = Math.trunc(hue * 6)
  const fraction = hue * 6 - sector
  const [up, down] = [roundHalfEven(fraction * 255), roundHalfEven((1 - fraction) * 255)]
  const colours: readonly Colour[] = [
    [255, up, 0],
    [down, 255, 0],
    [0, 255, up],
    [0, down, 255],
    [up, 0, 255],
    [255, 0, down],
  ]
  return defined(colours[sector])
}

/**
 * The control image of pose ControlNets: people on black, as DWPose's `draw_pose` draws them, all bodies under all hands under all
 * faces. Coordinates pass through fractions of the canvas there, and so they do here, because truncating to pixels sees the difference.
 */
export function drawPoses(poses: readonly Pose[], size: CanvasSize, parts: readonly PosePart[]): RgbImage {
  const canvas = blackImage(size.width, size.height)
  const inCanvas = (points: PointList) => throughFractions(points, size)
  if (parts.includes('body')) {
    drawBodies(
      canvas,
      poses.map(({ body }) => inCanvas(body)),
    )
  }
  if (parts.includes('hands')) {
    const hands = [...poses.map(({ leftHand }) => leftHand), ...poses.map(({ rightHand }) => rightHand)]
    for (const hand of hands) drawHand(canvas, inCanvas(hand).map(wholePixels))
  }
  if (parts.includes('face')) {
    for (const { face } of poses) {
      for (const point of inCanvas(face).map(wholePixels)) if (point) fillCircle(canvas, point, FACE_RADIUS, WHITE)
    }
  }
  return canvas
}

function throughFractions(points: PointList, { width, height }: CanvasSize): PointList {
  return points.map((point) => point && { x: (point.x / width) * width, y: (point.y / height) * height })
}

/** Limb by limb, so that a person's arm may lie between another's limbs; joints above all limbs. */
function drawBodies(canvas: RgbImage, bodies: readonly PointList[]): void {
  for (const [i, [from, to]] of LIMBS.entries()) {
    for (const joints of bodies) drawLimb(canvas, joints[from], joints[to], defined(JOINT_COLOURS[i]))
  }
  for (const [i, colour] of JOINT_COLOURS.entries()) {
    for (const joints of bodies) {
      const joint = joints[i]
      if (joint) fillCircle(canvas, { x: Math.trunc(joint.x), y: Math.trunc(joint.y) }, JOINT_RADIUS, colour)
    }
  }
}

function drawLimb(canvas: RgbImage, from: KeyPoint | undefined, to: KeyPoint | undefined, colour: Colour): void {
  if (!from || !to) return
  const [dx, dy] = [from.x - to.x, from.y - to.y]
  const middle = { x: Math.trunc((from.x + to.x) / 2), y: Math.trunc((from.y + to.y) / 2) }
  const degrees = Math.trunc(Math.atan2(dy, dx) * (180 / Math.PI))
  const axes = [Math.trunc(Math.sqrt(dx * dx + dy * dy) / 2), LIMB_HALF_WIDTH] as const
  const [red, green, blue] = colour.map((value) => Math.trunc(value * 0.6)) as [number, number, number]
  fillConvexPolygon(canvas, ellipsePolygon(middle, axes, degrees), [red, green, blue])
}

function drawHand(canvas: RgbImage, hand: readonly (Point | undefined)[]): void {
  for (const { from, to, colour } of BONES) {
    const [a, b] = [hand[from], hand[to]]
    if (a && b) drawThickLine(canvas, a, b, colour)
  }
  for (const point of hand) if (point) fillCircle(canvas, point, JOINT_RADIUS, HAND_POINT)
}

/** Points of hands and faces in the first row or column, or left of or above the canvas, count as not seen. */
function wholePixels(point: KeyPoint | undefined): Point | undefined {
  if (!point) return undefined
  const [x, y] = [Math.trunc(point.x), Math.trunc(point.y)]
  return x > 0 && y > 0 ? { x, y } : undefined
}

/** Where hands and faces are, white on black: for each the convex hull of its points. */
export function drawPoseMask(poses: readonly Pose[], size: CanvasSize, parts: readonly MaskPart[]): RgbImage {
  const canvas = blackImage(size.width, size.height)
  for (const { leftHand, rightHand, face } of poses) {
    const regions = [
      ...(parts.includes('hands') ? [leftHand, rightHand] : []),
      ...(parts.includes('face') ? [face] : []),
    ]
    for (const region of regions) {
      const hull = convexHull(throughFractions(region, size).flatMap((point) => wholePixels(point) ?? []))
      if (hull.length > 0) fillConvexPolygon(canvas, hull, WHITE)
    }
  }
  return canvas
}
