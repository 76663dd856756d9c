import type { RgbImage } from '../image/rgb-image.ts'
import type { KeyPoint } from './face.ts'

/** Points in a fixed order, undefined where one is not seen. */
export type PointList = readonly (KeyPoint | undefined)[]

/**
 * A body's 18 joints in OpenPose's order: nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist, right hip, knee, ankle,
 * left hip, knee, ankle, right eye, left eye, right ear, left ear.
 */
export type BodyPose = PointList

/** What is seen of a person. Lists are empty where the detector does not look for that part. */
export interface Pose {
  readonly body: BodyPose
  /** 21 points: the wrist, then four from the root to the tip of the thumb and of each finger. */
  readonly leftHand: PointList
  readonly rightHand: PointList
  /** 68 points in the order of iBUG 300-W: the jaw, brows, nose, eyes and mouth. */
  readonly face: PointList
}

/** Finds people in pictures. */
export interface PoseDetector {
  /** Whether it looks for hands and faces, too. */
  readonly findsHandsAndFaces: boolean
  detect(image: RgbImage): Promise<Pose[]>
}

/** A person of whom only the body was looked for. */
export function bodyAlone(body: BodyPose): Pose {
  return { body, leftHand: [], rightHand: [], face: [] }
}

/** COCO's joints in OpenPose's order; the neck, which COCO lacks, is between the shoulders. */
const NECK = -1
const OPENPOSE_ORDER = [0, NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
const [LEFT_SHOULDER, RIGHT_SHOULDER] = [5, 6]

/** A pose of COCO's 17 joints (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right); more are left out. */
export function openPoseJoints(coco: PointList): BodyPose {
  const [left, right] = [coco[LEFT_SHOULDER], coco[RIGHT_SHOULDER]]
  const neck = left && right && { x: (left.x + right.x) / 2, y: (left.y + right.y) / 2 }
  return OPENPOSE_ORDER.map((joint) => (joint === NECK ? neck : coco[joint]))
}
