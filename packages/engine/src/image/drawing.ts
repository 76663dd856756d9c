/**
 * OpenCV's drawing, pixel for pixel (`imgproc/src/drawing.cpp`): control images for pose networks are drawn with it, and the networks
 * learnt its edges. Lines are 8-connected, nothing is antialiased; what leaves the canvas is cut off as OpenCV cuts it.
 */

import { defined } from '../tensor/defined.ts'
import { roundHalfEven } from '../tensor/round-half-even.ts'
import type { RgbImage } from './rgb-image.ts'

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
  const [cos, sin] = [defined(SINES[450 - turned]), defined(SINES[turned])]
  const points: Point[] = []
  for (let degrees = 0; degrees <= 360; degrees++) {
    const along = axes[0] * defined(SINES[450 - degrees])
    const across = axes[1] * defined(SINES[degrees])
    const x = roundHalfEven(centre.x + along * cos - across * sin)
    const y = roundHalfEven(centre.y + along * sin + across * cos)
    const last = points.at(-1)
    if (last?.x !== x || last.y !== y) points.push({ x, y })
  }
  return points.length === 1 ? [centre, centre] : points
}

/** `cv2.fillConvexPoly(image, points, colour)`: the edges as lines, then the rows between them. */
export function fillConvexPolygon(image: RgbImage, points: readonly Point[], colour: Colour): void {
  for (const [i, point] of points.entries()) drawLine(image, defined(points.at(i - 1)), point, colour)
  fillBetween(
    image,
    points.map(({ x, y }) => ({ x: x * ONE, y: y * ONE })),
    colour,
  )
}

/** The rows of a convex polygon, its corners in fixed point. */
function fillBetween(image: RgbImage, corners: readonly Point[], colour: Colour): void {
  const xs = corners.map(({ x }) => toPixel(x))
  const rows = corners.map(({ y }) => toPixel(y))
  const [left, top] = [Math.min(...xs), Math.min(...rows)]
  const isOutside = Math.max(...xs) < 0 || Math.max(...rows) < 0 || left >= image.width || top >= image.height
  if (corners.length < 3 || isOutside) return
  const ys = corners.map(({ y }) => y)
  const first = ys.indexOf(Math.min(...ys))
  const walk = { edgesLeft: corners.length }
  const sides = [new Chain(corners, first, 1), new Chain(corners, first, corners.length - 1)] as const
  const bottom = Math.min(Math.max(...rows), image.height - 1)
  for (let y = top; y <= bottom; y++) {
    for (const side of sides) side.reach(y, walk)
    if (walk.edgesLeft < 0) return
    const [a, b] = [sides[0].x, sides[1].x]
    fillRow(image, y, toPixel(Math.min(a, b)), toPixel(Math.max(a, b)), colour)
    for (const side of sides) side.step()
  }
}

/** The pixel nearest to a place in fixed point. */
function toPixel(value: number): number {
  return Math.floor((value + ONE / 2) / ONE)
}

/** One side of a convex polygon on its way down from the top corner. */
class Chain {
  readonly #corners: readonly Point[]
  readonly #direction: number
  #index: number
  /** The row at which the current edge ends. */
  #end: number
  #slope = 0
  /** Where the side is, in fixed point. */
  x = -ONE

  /** @param corners in fixed point */
  constructor(corners: readonly Point[], first: number, direction: number) {
    this.#corners = corners
    this.#direction = direction
    this.#index = first
    this.#end = toPixel(defined(corners[first]).y)
  }

  /** Takes the next edge that leads down once the last one ended; both sides share the count of edges. */
  reach(y: number, walk: { edgesLeft: number }): void {
    if (y < this.#end) return
    let from = this.#index
    let to = (from + this.#direction) % this.#corners.length
    while (walk.edgesLeft-- > 0) {
      const [start, end] = [defined(this.#corners[from]), defined(this.#corners[to])]
      const endRow = toPixel(end.y)
      if (endRow > y) {
        const rows = endRow - y
        this.#end = endRow
        this.#slope = Math.trunc(((end.x - start.x) * 2 + rows) / (2 * rows))
        this.x = start.x
        this.#index = to
        return
      }
      from = to
      to = (to + this.#direction) % this.#corners.length
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
  const clipped = clipLine({ left: 0, top: 0, right: image.width - 1, bottom: image.height - 1 }, from, to)
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

/**
 * `cv2.line(image, from, to, colour, thickness=2)`: a rectangle in fixed point with round ends. Beyond two pixels around the canvas
 * OpenCV 5 cuts the line off first, at whole pixels.
 */
export function drawThickLine(image: RgbImage, from: Point, to: Point, colour: Colour): void {
  const clipped = clipLine({ left: -2, top: -2, right: image.width + 1, bottom: image.height + 1 }, from, to)
  if (clipped) fillThickLine(image, ...clipped, colour)
}

function fillThickLine(image: RgbImage, from: Point, to: Point, colour: Colour): void {
  const [start, end] = [from, to].map(({ x, y }) => ({ x: x * ONE, y: y * ONE })) as [Point, Point]
  const [dx, dy] = [from.x - to.x, to.y - from.y]
  const length = Math.sqrt(dx * dx + dy * dy)
  if (length > 0) {
    const scale = ONE / length
    const [across, down] = [roundHalfEven(dy * scale), roundHalfEven(dx * scale)]
    const corners = [
      { x: start.x + across, y: start.y + down },
      { x: start.x - across, y: start.y - down },
      { x: end.x - across, y: end.y - down },
      { x: end.x + across, y: end.y + down },
    ]
    for (const [i, corner] of corners.entries()) {
      drawFixedPointLine(image, defined(corners.at(i - 1)), corner, colour)
    }
    fillBetween(image, corners, colour)
  }
  for (const centre of [from, to]) fillCircle(image, centre, 1, colour)
}

/** A line of one pixel's width between places in fixed point (OpenCV's `Line2`). */
function drawFixedPointLine(image: RgbImage, from: Point, to: Point, colour: Colour): void {
  const bounds = { left: 0, top: 0, right: image.width * ONE - 1, bottom: image.height * ONE - 1 }
  const clipped = clipLine(bounds, from, to)
  if (!clipped) return
  const isFlat = Math.abs(clipped[1].x - clipped[0].x) > Math.abs(clipped[1].y - clipped[0].y)
  const along = (point: Point) => (isFlat ? point.x : point.y)
  const across = (point: Point) => (isFlat ? point.y : point.x)
  const [first, last] = along(clipped[1]) < along(clipped[0]) ? [clipped[1], clipped[0]] : clipped
  const put = (a: number, b: number) => (isFlat ? fillRow(image, b, a, a, colour) : fillRow(image, a, b, b, colour))
  const extent = along(last) - along(first)
  // An odd divisor is never nothing.
  const slope = Math.trunc(((across(last) - across(first)) * ONE) / (extent % 2 === 0 ? extent + 1 : extent))
  put(toPixel(along(last)), toPixel(across(last)))
  const count = Math.floor(extent / ONE)
  const start = toPixel(along(first))
  for (let i = 0, place = across(first) + ONE / 2; i <= count; i++, place += slope) {
    put(start + i, Math.floor(place / ONE))
  }
}

interface Bounds {
  readonly left: number
  readonly top: number
  /** Inside, as the other sides are. */
  readonly right: number
  readonly bottom: number
}

/** The part of a line inside bounds, its ends rounded towards zero as OpenCV's are (Cohen-Sutherland). */
function clipLine({ left, top, right, bottom }: Bounds, from: Point, to: Point): [Point, Point] | undefined {
  const horizontal = (x: number) => Number(x < left) + 2 * Number(x > right)
  const code = ({ x, y }: Point) => horizontal(x) + 4 * Number(y < top) + 8 * Number(y > bottom)
  const ends: [Point, Point] = [from, to]
  const codes: [number, number] = [code(from), code(to)]
  const needsCut = () => (codes[0] & codes[1]) === 0 && (codes[0] | codes[1]) !== 0
  if (!needsCut()) return (codes[0] | codes[1]) === 0 ? ends : undefined
  for (const i of [0, 1] as const) {
    if ((codes[i] & 12) === 0) continue
    const y = codes[i] < 8 ? top : bottom
    const { x } = ends[i]
    const [a, b] = ends
    ends[i] = { x: x + Math.trunc(((y - ends[i].y) * (b.x - a.x)) / (b.y - a.y)), y }
    codes[i] = horizontal(ends[i].x)
  }
  if (needsCut()) {
    for (const i of [0, 1] as const) {
      if (codes[i] === 0) continue
      const x = codes[i] === 1 ? left : right
      const { y } = ends[i]
      const [a, b] = ends
      ends[i] = { x, y: y + Math.trunc(((x - ends[i].x) * (b.y - a.y)) / (b.x - a.x)) }
      codes[i] = 0
    }
  }
  return (codes[0] | codes[1]) === 0 ? ends : undefined
}

/**
 * The corners of the smallest convex polygon that holds all points, clockwise on the screen (Andrew's monotone chains).
 * @returns no more than the points; one or two for points that are one or in a line
 */
export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y)
  const unique = sorted.filter(({ x, y }, i) => sorted[i - 1]?.x !== x || sorted[i - 1]?.y !== y)
  if (unique.length < 3) return unique
  return [...chainOf(unique), ...chainOf(unique.reverse())]
}

/** From the first to the last point but for the last, which is where the other side begins. */
function chainOf(sorted: readonly Point[]): Point[] {
  const chain: Point[] = []
  for (const point of sorted) {
    while (chain.length > 1 && turn(defined(chain.at(-2)), defined(chain.at(-1)), point) <= 0) chain.pop()
    chain.push(point)
  }
  return chain.slice(0, -1)
}

/** Positive where the way from `a` over `b` to `c` turns right on the screen. */
function turn(a: Point, b: Point, c: Point): number {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/** Pixels `from … to` of a row, as far as the canvas goes. */
function fillRow({ width, height, data }: RgbImage, y: number, from: number, to: number, colour: Colour): void {
  if (y < 0 || y >= height) return
  const [red, green, blue] = colour
  const end = (y * width + Math.min(to, width - 1)) * 3
  for (let i = (y * width + Math.max(from, 0)) * 3; i <= end; i += 3) {
    data[i] = red
    data[i + 1] = green
    data[i + 2] = blue
  }
}
