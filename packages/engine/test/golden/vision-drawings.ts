/** Draws and samples the cases of drawings.json (made by scripts/golden/vision.py) and names those that differ from OpenCV's. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type AffineMatrix, resizeLinear, warpAffine } from '../../src/image/affine.ts'
import { drawLine, fillConvexPolygon, type Point } from '../../src/image/drawing.ts'
import { blackImage, type RgbImage } from '../../src/image/rgb-image.ts'
import { type BodyPose, drawBodyPoses } from '../../src/vision/body-pose.ts'
import { cannyEdges } from '../../src/vision/canny.ts'
import type { FaceKeyPoints } from '../../src/vision/face.ts'
import { drawFaceKeyPoints } from '../../src/vision/face-drawing.ts'

interface Case {
  readonly width: number
  readonly height: number
  readonly sha256: string
}

type Pair = readonly [number, number]

interface FaceCase extends Case {
  readonly points: readonly Pair[]
}

interface BodyCase extends Case {
  readonly poses: readonly (readonly (Pair | null)[])[]
}

interface CannyCase extends Case {
  readonly kind: 'rings' | 'steps' | 'noise'
  readonly seed: number
  readonly low: number
  readonly high: number
  readonly edges: number
}

interface SamplingCase extends Omit<CannyCase, 'sha256' | 'low' | 'high' | 'edges'> {
  readonly to: Pair
  readonly matrix: AffineMatrix
  readonly resized: string
  readonly warped: string
}

interface PolygonCase extends Case {
  readonly points: readonly Pair[]
}

interface Report {
  readonly polygons: readonly PolygonCase[]
  readonly sampling: readonly SamplingCase[]
  readonly faces: readonly FaceCase[]
  readonly bodies: readonly BodyCase[]
  readonly canny: readonly CannyCase[]
}

/** Indices of the cases whose pixels differ, by kind, and how many there are. */
export interface Differences {
  readonly faces: readonly number[]
  readonly bodies: readonly number[]
  readonly polygons: readonly number[]
  readonly canny: readonly number[]
  readonly resized: readonly number[]
  readonly warped: readonly number[]
  readonly counts: readonly number[]
}

export async function drawingDifferences(path: string): Promise<Differences> {
  const { faces, bodies, polygons, canny, sampling }: Report = JSON.parse(await readFile(path, 'utf8'))
  const point = (pair: Pair) => ({ x: pair[0], y: pair[1] })
  return {
    faces: differing(faces, ({ points, width, height }) =>
      drawFaceKeyPoints(points.map(point) as unknown as FaceKeyPoints, width, height),
    ),
    bodies: differing(bodies, ({ poses, width, height }) =>
      drawBodyPoses(
        poses.map((pose): BodyPose => pose.map((pair) => (pair ? point(pair) : undefined))),
        width,
        height,
      ),
    ),
    polygons: differing(polygons, ({ points, width, height }) => drawPolygon(points.map(point), width, height)),
    canny: differing(canny, (picture) => cannyEdges(paint(picture), picture.low, picture.high)),
    resized: differing(
      sampling.map((one) => ({ ...one, sha256: one.resized })),
      (one) => resizeLinear(paint(one), ...one.to),
    ),
    warped: differing(
      sampling.map((one) => ({ ...one, sha256: one.warped })),
      (one) => warpAffine(paint(one), one.matrix, 112, 112),
    ),
    counts: [faces, bodies, polygons, canny, sampling, sampling].map(({ length }) => length),
  }
}

function differing<C extends Case>(cases: readonly C[], draw: (one: C) => { readonly data: Uint8Array }): number[] {
  return [...cases.keys()].filter((i) => {
    const one = cases[i] as C
    return createHash('sha256').update(draw(one).data).digest('hex') !== one.sha256
  })
}

/** Filled, and its sides but the last in another colour on top. */
function drawPolygon(points: readonly Point[], width: number, height: number): RgbImage {
  const canvas = blackImage(width, height)
  fillConvexPolygon(canvas, points, [10, 200, 30])
  for (const [i, to] of points.entries()) {
    const from = points[i - 1]
    if (from) drawLine(canvas, from, to, [250, 0, 90])
  }
  return canvas
}

/** The picture of a case, by the rule that the script follows too. */
export function paint({ kind, width, height, seed }: Omit<CannyCase, 'sha256' | 'low' | 'high' | 'edges'>): RgbImage {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) {
    const c = i % 3
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    const [dx, dy] = [x - ((seed * 37 + c * 11) % width), y - ((seed * 53 + c * 7) % height)]
    const distance = dx * dx + dy * dy
    if (kind === 'rings') data[i] = Math.floor(distance / ((seed % 40) + 5)) % 256
    else if (kind === 'steps') {
      data[i] = (Math.floor(x / ((seed % 9) + 2)) * 67 + Math.floor(y / ((seed % 7) + 3)) * 41 + c * 30) % 256
    } else data[i] = ((distance * (seed + 3)) ^ (x * y)) % 251
  }
  return { width, height, data }
}
