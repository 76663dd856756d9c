import { type Colour, ellipsePolygon, fillCircle, fillConvexPolygon } from '../image/drawing.ts'
import { blackImage, type RgbImage } from '../image/rgb-image.ts'
import type { KeyPoint } from './face.ts'

/**
 * A body's 18 joints in OpenPose's order: nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist, right hip, knee, ankle,
 * left hip, knee, ankle, right eye, left eye, right ear, left ear. Undefined where a joint is not seen.
 */
export type BodyPose = readonly (KeyPoint | undefined)[]

/** COCO's joints in OpenPose's order; the neck, which COCO lacks, is between the shoulders. */
const NECK = -1
const OPENPOSE_ORDER = [0, NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
const [LEFT_SHOULDER, RIGHT_SHOULDER] = [5, 6]

/** A pose of COCO's 17 joints (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right); more are left out. */
export function openPoseJoints(coco: readonly (KeyPoint | undefined)[]): BodyPose {
  const [left, right] = [coco[LEFT_SHOULDER], coco[RIGHT_SHOULDER]]
  const neck = left && right && { x: (left.x + right.x) / 2, y: (left.y + right.y) / 2 }
  return OPENPOSE_ORDER.map((joint) => (joint === NECK ? neck : coco[joint]))
}

/** Finds people in pictures. */
export interface PoseDetector {
  detect(image: RgbImage): Promise<BodyPose[]>
}

const COLOURS: readonly Colour[] = [
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

const HALF_WIDTH = 4
const RADIUS = 4

/**
 * The control image of pose ControlNets: skeletons on black, one person over another, as `draw_bodypose` of controlnet_aux draws them.
 * Coordinates pass through fractions of the canvas there, and so they do here, because truncating to pixels sees the difference.
 */
export function drawBodyPoses(poses: readonly BodyPose[], width: number, height: number): RgbImage {
  const canvas = blackImage(width, height)
  for (const pose of poses) {
    const joints = pose.map((joint) => joint && { x: (joint.x / width) * width, y: (joint.y / height) * height })
    for (const [i, [from, to]] of LIMBS.entries()) drawLimb(canvas, joints[from], joints[to], COLOURS[i] as Colour)
    for (const [i, joint] of joints.entries()) {
      if (joint) fillCircle(canvas, { x: Math.trunc(joint.x), y: Math.trunc(joint.y) }, RADIUS, COLOURS[i] as Colour)
    }
  }
  return canvas
}

function drawLimb(canvas: RgbImage, from: KeyPoint | undefined, to: KeyPoint | undefined, colour: Colour): void {
  if (!from || !to) return
  const [dx, dy] = [from.x - to.x, from.y - to.y]
  const middle = { x: Math.trunc((from.x + to.x) / 2), y: Math.trunc((from.y + to.y) / 2) }
  const degrees = Math.trunc(Math.atan2(dy, dx) * (180 / Math.PI))
  const polygon = ellipsePolygon(middle, [Math.trunc(Math.sqrt(dx * dx + dy * dy) / 2), HALF_WIDTH], degrees)
  const [red, green, blue] = colour.map((value) => Math.trunc(value * 0.6)) as [number, number, number]
  fillConvexPolygon(canvas, polygon, [red, green, blue])
}
