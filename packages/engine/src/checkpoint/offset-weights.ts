import { createHash } from 'node:crypto'
import type { FloatTensor } from '../tensor/tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { type ComponentWeights, readStoredTensor } from './component-weights.ts'
import type { WeightEdits } from './prepared-weights.ts'

/** Weights to be prepared with the edits that complete them. */
export interface OffsetWeights {
  readonly stored: ComponentWeights
  readonly edits: WeightEdits
}

/**
 * A component with offsets added to its weights, in float32: IC-Light's form of a model. A convolution whose offset takes more input channels
 * than its weight gets them with the offset alone.
 * @param offsets by the component's keys
 * @throws CheckpointError where they are not the component's
 */
export function addOffsets(base: ComponentWeights, offsets: ComponentWeights): OffsetWeights {
  const tensors = new Map(base.tensors)
  for (const [key, offset] of offsets.tensors) {
    const own = base.tensors.get(key)
    if (!own || !fits(own.shape, offset.shape)) {
      const found = own ? `[${own.shape}] there and [${offset.shape}] in it` : 'not there'
      throw new CheckpointError(`${offsets.source} is not made for ${base.source}: ${key} is ${found}`)
    }
    tensors.set(key, offset)
  }
  const identity = createHash('sha256')
    .update(JSON.stringify([base.identity, offsets.identity]))
    .digest('hex')
  return {
    stored: { ...base, files: [...base.files, ...offsets.files], tensors, identity },
    edits: {
      identity: 'offsets',
      keys: new Set(offsets.tensors.keys()),
      async apply(key, offset) {
        const stored = base.tensors.get(key)
        return stored ? addChannels(offset, await readStoredTensor(stored)) : offset
      },
    },
  }
}

/** All axes agree but that of a convolution's input channels, of which there may be more. */
function fits(own: readonly number[], offset: readonly number[]): boolean {
  return (
    own.length === offset.length &&
    own.every((size, axis) => size === offset[axis] || (axis === 1 && own.length === 4 && size < (offset[axis] ?? 0)))
  )
}

/** Adds a weight to the first input channels of its offset, in place. */
function addChannels(offset: FloatTensor, weight: FloatTensor): FloatTensor {
  const [outputs = 1] = offset.shape
  const [own, all] = [weight.data.length / outputs, offset.data.length / outputs]
  for (let output = 0; output < outputs; output++) {
    for (let i = 0; i < own; i++) {
      const to = output * all + i
      offset.data[to] = (offset.data[to] as number) + (weight.data[output * own + i] as number)
    }
  }
  return offset
}

/** Both edits of each tensor, in their order. */
export function composeEdits(first: WeightEdits, second: WeightEdits): WeightEdits {
  return {
    identity: JSON.stringify([first.identity, second.identity]),
    keys: new Set([...first.keys, ...second.keys]),
    async apply(key, weight) {
      const once = first.keys.has(key) ? await first.apply(key, weight) : weight
      return second.keys.has(key) ? second.apply(key, once) : once
    },
    async release() {
      await first.release?.()
      await second.release?.()
    },
  }
}
