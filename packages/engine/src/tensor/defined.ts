/**
 * A value that is there because the code around it keeps its index in range: `defined(sizes[i])` in place of `sizes[i] as number`, which
 * would let NaN spread where the code is wrong. Loops over pixels and weights keep the cast: a sum of products takes 1.4 times as long
 * with this (and an accessor `at(values, i)`, shared by arrays of several types, seven times).
 * @throws RangeError when there is no such value
 */
export function defined<T>(value: T | undefined): T {
  if (value === undefined) throwMissing()
  return value
}

// Apart, so that what is inlined stays small.
function throwMissing(): never {
  throw new RangeError('an index is outside its array')
}
