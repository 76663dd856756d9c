import type { ComponentWeights } from '../checkpoint/component-weights.ts'
import type { WeightEdits } from '../checkpoint/prepared-weights.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import { type Lora, readBiasChange, readChange, type ScaledLora } from './lora.ts'
import { weightDelta } from './lora-delta.ts'
import type { LoraComponent } from './lora-keys.ts'
import { type LoraMatch, matchLora } from './lora-match.ts'
import { MatrixProducts, type SessionFactory } from './matrix-product.ts'

export interface LoraEdits {
  /** What to pass to `WeightCache.prepare`; undefined when nothing of the component is changed. */
  readonly edits: WeightEdits | undefined
  /** In the LoRAs' order. */
  readonly matches: readonly { readonly lora: Lora; readonly match: LoraMatch }[]
}

/** Part of an edit's identity: another number makes merged files of earlier versions unused. */
const VERSION = 2

/** Computes ΔW of one of a weight's changes. */
type Delta = (weight: FloatTensor) => Promise<FloatTensor>

/**
 * The merge of LoRAs into one component: W + ΣΔW in float32, each ΔW of the base's own weight, for every kind of change.
 * @param weights of a component whose name is a `LoraComponent`; of any other nothing is changed
 * @param sessions computes the products: a JavaScript loop would take a minute on an SD1.5-size model
 */
export function loraEdits(
  weights: ComponentWeights,
  loras: readonly ScaledLora[],
  sessions: SessionFactory,
): LoraEdits {
  const component = weights.name as LoraComponent
  const products = new MatrixProducts(sessions)
  const deltas = new Map<string, Delta[]>()
  const matches = loras.map(({ lora, scale = 1 }) => {
    const match = matchLora(lora, component, weights.tensors)
    for (const [key, delta] of deltasOf(lora, match, scale, products)) {
      deltas.set(key, [...(deltas.get(key) ?? []), delta])
    }
    return { lora, match }
  })
  if (deltas.size === 0) return { edits: undefined, matches }
  const edits: WeightEdits = {
    identity: JSON.stringify([VERSION, ...loras.map(({ lora, scale = 1 }) => ['lora', lora.file.identity, scale])]),
    keys: new Set(deltas.keys()),
    async apply(key, weight) {
      const merged = float32(weight.shape, weight.data.slice())
      for (const delta of deltas.get(key) ?? []) addTo(merged.data, (await delta(weight)).data)
      return merged
    },
    release: () => products.release(),
  }
  return { edits, matches }
}

function deltasOf(lora: Lora, match: LoraMatch, scale: number, { multiply }: MatrixProducts): [string, Delta][] {
  return [
    ...match.weights.map(({ key, change }): [string, Delta] => [
      key,
      async (weight) => weightDelta(await readChange(lora, change), weight, { scale, multiply }),
    ]),
    ...match.biases.map(({ key, change }): [string, Delta] => [
      key,
      () => readBiasChange(lora, { ...change, scale: change.scale * scale }),
    ]),
  ]
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i] as number)
}
