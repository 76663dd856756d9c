import { concatenate } from '../tensor/tensor.ts'
import { readChange, type ScaledLora } from './lora.ts'
import type { LayerShapes } from './lora-branches.ts'
import { type LayerChange, type LowRankChange, lowRankFactors } from './lora-delta.ts'
import type { LoraComponent } from './lora-keys.ts'
import { type BaseWeights, type MatchedBias, type MatchedWeight, matchLora } from './lora-match.ts'
import type { UnusedKey } from './lora-module.ts'

/** What LoRAs change of one component's layers. */
export interface LoraChanges {
  /** Changes that run beside the weights, by layer path. */
  readonly changes: ReadonlyMap<string, LayerChange>
  /** Changes that cannot and must be merged into the weights: LoKr, DoRA, full ones, large LoHa, those of biases, norms and tables. */
  readonly dense: readonly DenseChange[]
  /** Keys of this component's changes that change nothing. */
  readonly unused: readonly UnusedKey[]
}

export interface DenseChange extends ScaledLora {
  readonly matched: MatchedWeight | MatchedBias
}

/**
 * The changes that LoRAs make to a component's layers, for `LoraBranches`.
 * @param layers that take branches
 * @param base all weights of the component; by default those of the layers, so that changes of others are `unused`
 */
export function loraChanges(
  component: LoraComponent,
  layers: LayerShapes,
  loras: readonly ScaledLora[],
  base: BaseWeights = weightsOfLayers(layers),
): LoraChanges {
  const parts = new Map<string, LayerChange[]>()
  const dense: DenseChange[] = []
  const unused: UnusedKey[] = []
  for (const { lora, scale = 1 } of loras) {
    const match = matchLora(lora, component, base)
    unused.push(...match.unused)
    dense.push(...match.biases.map((matched) => ({ lora, scale, matched })))
    for (const matched of match.weights) {
      const { path, shape, change, branchRank: rank } = matched
      if (rank === undefined || !layers.has(path)) {
        dense.push({ lora, scale, matched })
        continue
      }
      const read = async () => lowRankFactors(await readChange(lora, change), shape, scale)
      parts.set(path, [...(parts.get(path) ?? []), { rank, read }])
    }
  }
  return { changes: new Map([...parts].map(([path, all]) => [path, sideBySide(all)])), dense, unused }
}

function weightsOfLayers(layers: LayerShapes): BaseWeights {
  return new Map([...layers].map(([path, shape]) => [`${path}.weight`, { shape }]))
}

function sideBySide(parts: readonly LayerChange[]): LayerChange {
  return {
    rank: parts.reduce((sum, { rank }) => sum + rank, 0),
    async read() {
      const changes: LowRankChange[] = []
      for (const part of parts) changes.push(await part.read())
      return {
        down: concatenate(changes.map(({ down }) => down)),
        up: concatenate(
          changes.map(({ up }) => up),
          1,
        ),
      }
    },
  }
}
