import type { FloatTensor } from './tensor.ts'

/** Largest difference over largest expected magnitude; infinite when the shapes differ or a value is no number. */
export function relativeError(actual: FloatTensor | undefined, expected: FloatTensor | undefined): number {
  if (!actual || !expected || String(actual.shape) !== String(expected.shape)) return Number.POSITIVE_INFINITY
  let [difference, largest] = [0, 0]
  for (let i = 0; i < expected.data.length; i++) {
    const wanted = expected.data[i] as number
    const error = Math.abs((actual.data[i] as number) - wanted)
    if (Number.isNaN(error)) return Number.POSITIVE_INFINITY
    difference = Math.max(difference, error)
    largest = Math.max(largest, Math.abs(wanted))
  }
  return difference / largest
}
