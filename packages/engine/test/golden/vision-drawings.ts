/** Draws and samples the cases of drawings.json (made by scripts/golden/vision.py) and names those that differ from OpenCV's. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type AffineMatrix, resizeLinear, warpAffine } from '../../src/image/affine.ts'
import { drawLine, fillConvexPolygon, type Point } from '../../src/image/drawing.ts'
import { blackImage, type RgbImage } from '../../src/image/rgb-image.ts'
import { cannyEdges } from '../../src/vision/canny.ts'
import type { FaceKeyPoints, KeyPoint } from '../../src/vision/face.ts'
import { drawFaceKeyPoints } from '../../src/vision/face-drawing.ts'
import type { Pose } from '../../src/vision/pose.ts'
import { drawPoseMask, drawPoses } from '../../src/vision/pose-drawing.ts'

interface Case {
  readonly width: number
  readonly height: number
  readonly sha256: string
}

type Pair = readonly [number, number]

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

/** Kinds of drawings of people and faces that are drawn at random. */
const KINDS = ['body', 'hands', 'whole', 'masks', 'key_points'] as const
type Kind = (typeof KINDS)[number]

interface Report {
  /** The first characters of the digests of drawing 0, 1, … */
  readonly random: Readonly<Record<Kind, string>>
  readonly polygons: readonly PolygonCase[]
  readonly sampling: readonly SamplingCase[]
  readonly canny: readonly CannyCase[]
}

const DIGEST_LENGTH = 8

/** Indices of the cases whose pixels differ, and how many cases there are, by kind. */
export interface Differences {
  readonly differing: Readonly<Record<string, readonly number[]>>
  readonly counts: Readonly<Record<string, number>>
}

export async function drawingDifferences(path: string): Promise<Differences> {
  const { random, polygons, canny, sampling }: Report = JSON.parse(await readFile(path, 'utf8'))
  const point = (pair: Pair) => ({ x: pair[0], y: pair[1] })
  const count = random.body.length / DIGEST_LENGTH
  const drawn = Array.from({ length: count }, (_, seed) => randomDrawings(seed))
  return {
    differing: {
      ...Object.fromEntries(
        KINDS.map((kind) => [
          kind,
          [...drawn.keys()].filter((i) => {
            const digest = random[kind].slice(i * DIGEST_LENGTH, (i + 1) * DIGEST_LENGTH)
            return !digest || !sha256(drawn[i]?.[kind]).startsWith(digest)
          }),
        ]),
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
    },
    counts: { drawings: count, polygons: polygons.length, canny: canny.length, sampling: sampling.length },
  }
}

/** Draws at random what the script draws: the same numbers come from the same seed. */
function randomDrawings(seed: number): Record<Kind, RgbImage> {
  const random = new RandomNumbers(seed)
  const [width, height] = [24 + random.below(136), 24 + random.below(136)]
  const size = { width, height }
  const poses = Array.from({ length: 1 + random.below(3) }, (): Pose => {
    const spread = [8, 90, 300][random.below(3)] as number
    const points = (count: number) => random.points(count, width, height, spread)
    return { body: points(18), leftHand: points(21), rightHand: points(21), face: points(68) }
  })
  const face = random.points(5, width, height, [8, 60, 200][random.below(3)] as number)
  const keyPoints = face.map((point) => point ?? { x: 1, y: 1 }) as unknown as FaceKeyPoints
  return {
    body: drawPoses(poses, size, ['body']),
    hands: drawPoses(poses, size, ['hands']),
    whole: drawPoses(poses, size, ['body', 'hands', 'face']),
    masks: drawPoseMask(poses, size, ['hands', 'face']),
    key_points: drawFaceKeyPoints(keyPoints, width, height),
  }
}

/** The linear congruential generator of Numerical Recipes, 0 to 1 in steps of 2⁻³². */
export class RandomNumbers {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return this.#state / 2 ** 32
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  points(count: number, width: number, height: number, spread: number): (KeyPoint | undefined)[] {
    const centreX = this.next() * width
    const centreY = this.next() * height
    return Array.from({ length: count }, () => {
      const x = centreX + (this.next() - 0.5) * spread
      const y = centreY + (this.next() - 0.5) * spread
      const kind = this.next()
      if (kind > 0.9) return undefined
      return kind < 0.2 ? { x: Math.floor(x), y: Math.floor(y) } : { x, y }
    })
  }
}

function sha256(image: { readonly data: Uint8Array } | undefined): string {
  return createHash('sha256')
    .update(image?.data ?? '')
    .digest('hex')
}

function differing<C extends Case>(cases: readonly C[], draw: (one: C) => { readonly data: Uint8Array }): number[] {
  return [...cases.keys()].filter((i) => {
    const one = cases[i] as C
    return sha256(draw(one)) !== one.sha256
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
