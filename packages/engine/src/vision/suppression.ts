import type { Box } from './face.ts'

/**
 * Greedy non-maximum suppression: of boxes that overlap by more than `threshold` (intersection over union) the most certain stays. Sides
 * count one pixel more than their difference, as in insightface and mmdetection.
 * @returns indices of what stays, most certain first
 */
export function suppressOverlaps(boxes: readonly Box[], scores: readonly number[], threshold: number): number[] {
  const order = [...boxes.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number))
  const kept: number[] = []
  for (const i of order) {
    if (kept.every((k) => overlap(boxes[k] as Box, boxes[i] as Box) <= threshold)) kept.push(i)
  }
  return kept
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left) + 1
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) + 1
  const common = Math.max(0, width) * Math.max(0, height)
  return common / (area(a) + area(b) - common)
}

function area({ left, top, right, bottom }: Box): number {
  return (right - left + 1) * (bottom - top + 1)
}
