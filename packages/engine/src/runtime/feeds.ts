import { type DType, DYNAMIC, elementCount, type Shape, type Tensor } from '../tensor/tensor.ts'
import type { TensorInfo } from './session.ts'

/** A feed whose data may be elsewhere. */
export type FeedInfo = Pick<Tensor, 'dtype' | 'shape'>

/**
 * Checks feeds against the graph's inputs, so that a mistake is named here and not deep inside a kernel.
 * @param lasting further feeds, of which the graph may lack some
 * @throws Error naming the input
 */
export function checkFeeds(
  inputs: readonly TensorInfo[],
  feeds: Readonly<Record<string, Tensor>>,
  lasting: Readonly<Record<string, FeedInfo>> = {},
): void {
  for (const { name, dtype, shape } of inputs) {
    const feed = feeds[name] ?? lasting[name]
    if (!feed) throw new Error(`the input ${name} (${describe(dtype, shape)}) is missing`)
    const isWhole = !('data' in feed) || (feed as Tensor).data.length === elementCount(feed.shape)
    if (feed.dtype !== dtype || !fits(feed.shape, shape) || !isWhole) {
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
