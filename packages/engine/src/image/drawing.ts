/**
 * OpenCV's drawing, pixel for pixel (`imgproc/src/drawing.cpp`): control images for pose networks are drawn with it, and the networks
 * learnt its edges. Lines are 8-connected, nothing is antialiased; what leaves the canvas is cut off as OpenCV cuts it.
 */
import type { RgbImage } from './rgb-image.ts'
import { roundHalfEven } from './round-half-even.ts'

/** Whole pixels. */
export interface Point {
  readonly x: number
  readonly y: number
}

export type Colour = readonly [red: number, green: number, blue: number]

/** OpenCV's table, which is rounded to seven decimals and then to float32: sin of 0 … 450 degrees. */
const SINES = Float64Array.from({ length: 451 }, (_, degrees) =>
  Math.fround(Number(Math.sin((degrees * Math.PI) / 180).toFixed(7))),
)

/** One pixel in OpenCV's 16-bit fixed point. */
const ONE = 65536

/**
 * `cv2.ellipse2Poly(centre, (a, b), angle, 0, 360, 1)`: the polygon of a whole ellipse, a point for each degree, repeated points left
 * out.
 * @param axes half lengths in whole pixels
 * @param angle whole degrees, clockwise on the screen
 */
export function ellipsePolygon(centre: Point, axes: readonly [number, number], angle: number): Point[] {
  let turned = angle
  while (turned < 0) turned += 360
  while (turned > 360) turned -= 360
  const [cos, sin] = [SINES[450 - turned] as number, SINES[turned] as number]
  const points: Point[] = []
  for (let degrees = 0; degrees <= 360; degrees++) {
    const along = axes[0] * (SINES[450 - degrees] as number)
    const across = axes[1] * (SINES[degrees] as number)
    const x = roundHalfEven(centre.x + along * cos - across * sin)
    const y = roundHalfEven(centre.y + along * sin + across * cos)
    const last = points.at(-1)
    if (last?.x !== x || last.y !== y) points.push({ x, y })
  }
  return points.length === 1 ? [centre, centre] : points
}

/** `cv2.fillConvexPoly(image, points, colour)`: the edges as lines, then the rows between them. */
export function fillConvexPolygon(image: RgbImage, points: readonly Point[], colour: Colour): void {
  for (const [i, point] of points.entries()) drawLine(image, points.at(i - 1) as Point, point, colour)
  const xs = points.map(({ x }) => x)
  const ys = points.map(({ y }) => y)
  const [left, top] = [Math.min(...xs), Math.min(...ys)]
  const isOutside = Math.max(...xs) < 0 || Math.max(...ys) < 0 || left >= image.width || top >= image.height
  if (points.length < 3 || isOutside) return
  const first = ys.indexOf(top)
  const walk = { edgesLeft: points.length }
  const sides = [new Chain(points, first, 1), new Chain(points, first, points.length - 1)] as const
  const bottom = Math.min(Math.max(...ys), image.height - 1)
  for (let y = top; y <= bottom; y++) {
    for (const side of sides) side.reach(y, walk)
    if (walk.edgesLeft < 0) return
    const [a, b] = [sides[0].x, sides[1].x]
    fillRow(
      image,
      y,
      Math.floor((Math.min(a, b) + ONE / 2) / ONE),
      Math.floor((Math.max(a, b) + ONE / 2) / ONE),
      colour,
    )
    for (const side of sides) side.step()
  }
}

/** One side of a convex polygon on its way down from the top vertex. */
class Chain {
  readonly #points: readonly Point[]
  readonly #direction: number
  #index: number
  /** The row at which the current edge ends. */
  #end: number
  #slope = 0
  /** Where the side is, in fixed point. */
  x = -ONE

  constructor(points: readonly Point[], first: number, direction: number) {
    this.#points = points
    this.#direction = direction
    this.#index = first
    this.#end = (points[first] as Point).y
  }

  /** Takes the next edge that leads down once the last one ended; both sides share the count of edges. */
  reach(y: number, walk: { edgesLeft: number }): void {
    if (y < this.#end) return
    let from = this.#index
    let to = (from + this.#direction) % this.#points.length
    while (walk.edgesLeft-- > 0) {
      const [start, end] = [this.#points[from] as Point, this.#points[to] as Point]
      if (end.y > y) {
        const rows = end.y - y
        this.#end = end.y
        this.#slope = Math.trunc(((end.x - start.x) * ONE * 2 + rows) / (2 * rows))
        this.x = start.x * ONE
        this.#index = to
        return
      }
      from = to
      to = (to + this.#direction) % this.#points.length
    }
  }

  step(): void {
    this.x += this.#slope
  }
}

/** `cv2.circle(image, centre, radius, colour, thickness=-1)`. */
export function fillCircle(image: RgbImage, centre: Point, radius: number, colour: Colour): void {
  let [error, dx, dy, plus, minus] = [0, radius, 0, 1, 2 * radius - 1]
  while (dx >= dy) {
    for (const y of [centre.y - dy, centre.y + dy]) fillRow(image, y, centre.x - dx, centre.x + dx, colour)
    for (const y of [centre.y - dx, centre.y + dx]) fillRow(image, y, centre.x - dy, centre.x + dy, colour)
    dy++
    error += plus
    plus += 2
    if (error > 0) {
      error -= minus
      dx--
      minus -= 2
    }
  }
}

/** `cv2.line(image, from, to, colour)` of one pixel's width. */
export function drawLine(image: RgbImage, from: Point, to: Point, colour: Colour): void {
  const clipped = clipLine(image, from, to)
  if (!clipped) return
  const [left, right] = clipped[1].x < clipped[0].x ? [clipped[1], clipped[0]] : clipped
  const [dx, dy] = [right.x - left.x, Math.abs(right.y - left.y)]
  const down = right.y < left.y ? -1 : 1
  const isSteep = dy > dx
  const [major, minor] = isSteep ? [dy, dx] : [dx, dy]
  let { x, y } = left
  let error = major - 2 * minor
  for (let i = 0; i <= major; i++) {
    fillRow(image, y, x, x, colour)
    const steps = error < 0
    error += steps ? 2 * major - 2 * minor : -2 * minor
    if (isSteep || steps) y += down
    if (!isSteep || steps) x++
  }
}

/** The part of a line inside the canvas, its ends rounded towards zero as OpenCV's are (Cohen-Sutherland). */
function clipLine({ width, height }: RgbImage, from: Point, to: Point): [Point, Point] | undefined {
  const [right, bottom] = [width - 1, height - 1]
  const horizontal = (x: number) => Number(x < 0) + 2 * Number(x > right)
  const code = ({ x, y }: Point) => horizontal(x) + 4 * Number(y < 0) + 8 * Number(y > bottom)
  const ends: [Point, Point] = [from, to]
  const codes: [number, number] = [code(from), code(to)]
  const needsCut = () => (codes[0] & codes[1]) === 0 && (codes[0] | codes[1]) !== 0
  if (!needsCut()) return (codes[0] | codes[1]) === 0 ? ends : undefined
  for (const i of [0, 1] as const) {
    if ((codes[i] & 12) === 0) continue
    const y = codes[i] < 8 ? 0 : bottom
    const { x } = ends[i]
    const [a, b] = ends
    ends[i] = { x: x + Math.trunc(((y - ends[i].y) * (b.x - a.x)) / (b.y - a.y)), y }
    codes[i] = horizontal(ends[i].x)
  }
  if (needsCut()) {
    for (const i of [0, 1] as const) {
      if (codes[i] === 0) continue
      const x = codes[i] === 1 ? 0 : right
      const { y } = ends[i]
      const [a, b] = ends
      ends[i] = { x, y: y + Math.trunc(((x - ends[i].x) * (b.y - a.y)) / (b.x - a.x)) }
      codes[i] = 0
    }
  }
  return (codes[0] | codes[1]) === 0 ? ends : undefined
}

/** Pixels `from … to` of a row, as far as the canvas goes. */
function fillRow({ width, height, data }: RgbImage, y: number, from: number, to: number, colour: Colour): void {
  if (y < 0 || y >= height) return
  const last = Math.min(to, width - 1)
  for (let x = Math.max(from, 0); x <= last; x++) data.set(colour, (y * width + x) * 3)
}
