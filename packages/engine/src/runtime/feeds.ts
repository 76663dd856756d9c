import { type DType, DYNAMIC, elementCount, type Shape, type Tensor } from '../tensor/tensor.ts'
import type { TensorInfo } from './session.ts'

/**
 * Checks feeds against the graph's inputs, so that a mistake is named here and not deep inside a kernel.
 * @throws Error naming the input
 */
export function checkFeeds(inputs: readonly TensorInfo[], feeds: Readonly<Record<string, Tensor>>): void {
  for (const { name, dtype, shape } of inputs) {
    const feed = feeds[name]
    if (!feed) throw new Error(`the input ${name} (${describe(dtype, shape)}) is missing`)
    if (feed.dtype !== dtype || !fits(feed.shape, shape) || feed.data.length !== elementCount(feed.shape)) {
      throw new Error(`the input ${name} must be ${describe(dtype, shape)}, got ${describe(feed.dtype, feed.shape)}`)
    }
  }
  const known = new Set(inputs.map(({ name }) => name))
  const unknown = Object.keys(feeds).filter((name) => !known.has(name))
  if (unknown.length > 0)
    throw new Error(`there is no input ${unknown.join(', ')}; the inputs are ${[...known].join(', ')}`)
}

function fits(given: Shape, declared: Shape): boolean {
  return given.length === declared.length && declared.every((size, i) => size === DYNAMIC || size === given[i])
}

function describe(dtype: DType, shape: Shape): string {
  return `${dtype} [${shape.map((size) => (size === DYNAMIC ? 'any' : size)).join(', ')}]`
}
