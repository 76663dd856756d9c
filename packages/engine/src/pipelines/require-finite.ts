import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { FloatTensor } from '../tensor/tensor.ts'

/**
 * Holds what an adapter's model gives against damaged weights: one value that is no number would make every pixel none.
 * @param source what messages call the model's file
 * @throws CheckpointError where a value is infinite or NaN
 */
export function requireFinite(tensors: Iterable<FloatTensor>, source: string): void {
  for (const { data } of tensors) {
    if (!data.every(Number.isFinite)) {
      throw new CheckpointError(`${source} gives values that are no finite numbers; the file is damaged`)
    }
  }
}
