import type { Box } from './face.ts'

/** How much of two boxes is common, 0 to 1. */
type Overlap = (a: Box, b: Box) => number

/** The measures that detectors use. */
export const overlapOf = {
  /** Intersection over union of the areas between the sides (torchvision). */
  areas: (a: Box, b: Box) => unionShare(a, b, 0),
  /** The same with sides that count one pixel more than their difference (insightface, mmdetection). */
  pixels: (a: Box, b: Box) => unionShare(a, b, 1),
  /** The common part of the smaller box, sides counted as in `pixels`. */
  smaller: (a: Box, b: Box) => common(a, b, 1) / Math.min(area(a, 1), area(b, 1)),
} as const satisfies Record<string, Overlap>

function unionShare(a: Box, b: Box, extra: number): number {
  const shared = common(a, b, extra)
  return shared / (area(a, extra) + area(b, extra) - shared)
}

function common(a: Box, b: Box, extra: number): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left) + extra
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) + extra
  return Math.max(0, width) * Math.max(0, height)
}

function area({ left, top, right, bottom }: Box, extra: number): number {
  return (right - left + extra) * (bottom - top + extra)
}

/**
 * Greedy non-maximum suppression: of boxes that overlap by more than `threshold` the most certain stays.
 * @returns what stays, most certain first
 */
export function suppressOverlaps<B extends { readonly box: Box; readonly score: number }>(
  boxes: readonly B[],
  threshold: number,
  overlap: Overlap,
): B[] {
  const kept: B[] = []
  for (const candidate of [...boxes].sort((a, b) => b.score - a.score)) {
    if (kept.every(({ box }) => overlap(box, candidate.box) <= threshold)) kept.push(candidate)
  }
  return kept
}
