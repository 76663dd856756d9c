import type { ScaledLora } from '../adapters/lora.ts'
import { loraEdits } from '../adapters/lora-edits.ts'
import { requireFit } from '../adapters/lora-match.ts'
import { checkWeights } from '../checkpoint/check-weights.ts'
import type { Component } from '../checkpoint/checkpoint.ts'
import type { ComponentWeights, WeightsOptions } from '../checkpoint/component-weights.ts'
import { addOffsets, composeEdits } from '../checkpoint/offset-weights.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { Graph } from '../graph/graph.ts'
import type { Engine } from './engine.ts'

export interface PrepareWeightsOptions extends WeightsOptions {
  /** Merged into the weights in order. */
  readonly loras?: readonly ScaledLora[]
  /** Added to the weights before LoRAs are merged. */
  readonly offsets?: ComponentWeights
  /** Keys that may be there although no graph uses them. */
  readonly ignoredKeys?: RegExp
  readonly signal?: AbortSignal
}

/**
 * A component's weights in the form that this engine maps: held against the graphs that are built from them, with LoRAs merged and
 * convolutions in the CPU kernels' form where the prepared file is kept.
 * @throws CheckpointError, WeightFileError
 */
export async function prepareWeights(
  { weightCache, runtime, keepsPreparedWeights }: Engine,
  component: Pick<Component, 'weights'>,
  graphs: readonly Graph[],
  { loras = [], offsets, ignoredKeys, signal, ...options }: PrepareWeightsOptions = {},
): Promise<Weights> {
  const own = await component.weights(options)
  const changed = offsets && addOffsets(own, offsets)
  const stored = changed?.stored ?? own
  checkWeights(stored, graphs, ignoredKeys ? { ignoredKeys } : {})
  const { edits: merges, matches } = loraEdits(stored, loras, runtime)
  for (const { lora, match } of matches) requireFit(lora, [match])
  const edits = changed && merges ? composeEdits(changed.edits, merges) : (changed?.edits ?? merges)
  const { convolutionBlock, ...form } = await runtime.weightForm(graphs)
  return weightCache.prepare(stored, {
    ...(edits && { edits }),
    ...(signal && { signal }),
    ...form,
    ...(keepsPreparedWeights && convolutionBlock !== undefined && { convolutionBlock }),
  })
}
