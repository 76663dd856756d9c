import type { RgbImage } from '../image/rgb-image.ts'

/** A place in a picture, in pixels from its top left corner. */
export interface KeyPoint {
  readonly x: number
  readonly y: number
}

/** The middle of the left and of the right eye (as one looks at the picture), the nose's tip, the mouth's left and right corner. */
export type FaceKeyPoints = readonly [KeyPoint, KeyPoint, KeyPoint, KeyPoint, KeyPoint]

/** Corners in pixels; `right` and `bottom` are outside by a fraction, as the detector gave them, or beyond the picture. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

/** A face that a detector found. */
export interface Face {
  readonly box: Box
  readonly keyPoints: FaceKeyPoints
  /** 0 to 1. */
  readonly score: number
}

/** Finds faces in pictures. */
export interface FaceDetector {
  /** The most certain face first; none is an empty list. */
  detect(image: RgbImage): Promise<Face[]>
}

/** The face with the largest box, which is whom a picture shows; undefined for none. */
export function largestFace(faces: readonly Face[]): Face | undefined {
  let largest: Face | undefined
  for (const face of faces) if (!largest || areaOf(face) > areaOf(largest)) largest = face
  return largest
}

function areaOf({ box }: Face): number {
  return (box.right - box.left) * (box.bottom - box.top)
}
