/**
 * A value that is there because the code around it keeps its index in range: `defined(weights[i])` in place of `weights[i] as number`, which
 * would let NaN spread where the code is wrong. It costs hot loops nothing, since V8 inlines it and drops the test; an accessor
 * `at(weights, i)` would: shared by arrays of several types it takes seven to ten times as long.
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
