import type { RgbImage } from '@darkroom/engine'

export type Rgb = readonly [number, number, number]

export interface Sitter {
  readonly hair: Rgb
  readonly skin: Rgb
  readonly clothes: Rgb
  readonly background: Rgb
  readonly glasses?: boolean
}

type Shape = (u: number, v: number) => Rgb | undefined

const SIDE = 512

/** Head's size as a share of the picture, and its middle. */
const [SIZE, MIDDLE] = [0.95, { x: 0.5, y: 0.46 }]

/** Where its eyes are, in pixels. */
export const DRAWN_EYES = [
  [210, 214],
  [302, 214],
] as const

const GLASSES: Rgb = [25, 25, 30]

/** A woman with long hair as Pinhole's training set draws them (training/pinhole_training/scenes/portrait.py), 512 pixels square. */
export function drawnFace({ hair, skin, clothes, background, glasses = false }: Sitter): RgbImage {
  const dark = shade(hair, 0.8)
  const eyes = [-0.095, 0.095].flatMap((u): Shape[] => [
    ellipse(u, -0.045, 0.046, 0.034, [250, 250, 250]),
    ellipse(u, -0.045, 0.026, 0.028, [90, 55, 30]),
    ellipse(u, -0.045, 0.012, 0.013, [15, 15, 18]),
    rectangle(u - 0.05, -0.109, u + 0.05, -0.091, shade(hair, 0.85)),
  ])
  const shapes: readonly Shape[] = [
    () => background,
    rectangle(-0.29, -0.26, 0.29, 0.38, dark),
    rectangle(-0.42, 0.4, 0.42, 1.3, clothes),
    rectangle(-0.1, 0.2, 0.1, 0.46, shade(skin, 0.86)),
    ellipse(0, -0.02, 0.245, 0.29, skin),
    ellipse(0, 0.1, 0.2, 0.19, skin),
    rectangle(-0.06, 0.135, 0.06, 0.155, [190, 100, 90]),
    rectangle(-0.007, -0.01, 0.014, 0.07, shade(skin, 0.78)),
    ...eyes,
    (u, v) => (v < -0.131 ? ellipse(0, -0.0775, 0.262, 0.2575, hair)(u, v) : undefined),
    rectangle(-0.28, -0.16, -0.19, 0.34, hair),
    rectangle(0.19, -0.16, 0.28, 0.34, hair),
    ...(glasses ? [ring(-0.095), ring(0.095), rectangle(-0.025, -0.057, 0.025, -0.043, GLASSES)] : []),
  ]
  const data = new Uint8Array(SIDE * SIDE * 3)
  for (let i = 0; i < SIDE * SIDE; i++) {
    const u = ((i % SIDE) / SIDE - MIDDLE.x) / SIZE
    const v = (Math.floor(i / SIDE) / SIDE - MIDDLE.y) / SIZE
    data.set(shapes.findLast((shape) => shape(u, v) !== undefined)?.(u, v) ?? background, i * 3)
  }
  return { width: SIDE, height: SIDE, data }
}

/** Middle and radii in heads, as in the other shapes. */
function ellipse(x: number, y: number, rx: number, ry: number, colour: Rgb): Shape {
  return (u, v) => (((u - x) / rx) ** 2 + ((v - y) / ry) ** 2 <= 1 ? colour : undefined)
}

function rectangle(left: number, top: number, right: number, bottom: number, colour: Rgb): Shape {
  return (u, v) => (u >= left && u < right && v >= top && v < bottom ? colour : undefined)
}

/** One glass's frame. */
function ring(x: number): Shape {
  const [outside, inside] = [ellipse(x, -0.045, 0.075, 0.062, GLASSES), ellipse(x, -0.045, 0.061, 0.048, GLASSES)]
  return (u, v) => (inside(u, v) === undefined ? outside(u, v) : undefined)
}

function shade(colour: Rgb, factor: number): Rgb {
  const [r, g, b] = colour
  return [Math.trunc(r * factor), Math.trunc(g * factor), Math.trunc(b * factor)]
}
