import { type AffineMatrix, warpAffine } from '../image/affine.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import type { FaceKeyPoints } from './face.ts'

/** Where ArcFace's training put the five points in a face of 112 × 112 (`arcface_dst` of insightface). */
const TEMPLATE = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
] as const

const TEMPLATE_SIDE = 112

/**
 * The rotation, scaling and move that brings points nearest to others in the sense of least squares: Umeyama's estimate (1991) in the
 * plane, without reflection, in closed form.
 */
function similarityTransform(
  from: readonly { readonly x: number; readonly y: number }[],
  to: readonly { readonly x: number; readonly y: number }[],
): AffineMatrix {
  const [source, target] = [centreOf(from), centreOf(to)]
  let [along, across, size] = [0, 0, 0]
  for (const [i, point] of from.entries()) {
    const other = to[i]
    if (!other) throw new RangeError(`${from.length} points cannot be moved to ${to.length}`)
    const [sx, sy] = [point.x - source.x, point.y - source.y]
    const [tx, ty] = [other.x - target.x, other.y - target.y]
    along += sx * tx + sy * ty
    across += sx * ty - sy * tx
    size += sx * sx + sy * sy
  }
  const [a, b] = size === 0 ? [0, 0] : [along / size, across / size]
  return [a, -b, target.x - a * source.x + b * source.y, b, a, target.y - b * source.x - a * source.y]
}

function centreOf(points: readonly { readonly x: number; readonly y: number }[]): { x: number; y: number } {
  const sum = points.reduce((total, { x, y }) => ({ x: total.x + x, y: total.y + y }), { x: 0, y: 0 })
  return { x: sum.x / points.length, y: sum.y / points.length }
}

/**
 * The face cut out upright, as recognition networks take it: insightface's `norm_crop`.
 * @param side of the result in pixels: multiples of 112 scale the template, those of 128 alone have a margin beside it
 */
export function alignFace(image: RgbImage, keyPoints: FaceKeyPoints, side = TEMPLATE_SIDE): RgbImage {
  const hasMargin = side % TEMPLATE_SIDE !== 0
  const ratio = side / (hasMargin ? 128 : TEMPLATE_SIDE)
  const template = TEMPLATE.map(([x, y]) => ({ x: x * ratio + (hasMargin ? 8 * ratio : 0), y: y * ratio }))
  return warpAffine(image, similarityTransform(keyPoints, template), side, side)
}
