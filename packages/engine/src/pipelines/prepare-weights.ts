import { loraEdits, type ScaledLora } from '../adapters/lora.ts'
import { checkWeights, type WeightUser } from '../checkpoint/check-weights.ts'
import type { Component } from '../checkpoint/checkpoint.ts'
import type { WeightsOptions } from '../checkpoint/component-weights.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { Engine } from './engine.ts'

export interface PrepareWeightsOptions extends WeightsOptions {
  /** Merged into the weights in order. */
  readonly loras?: readonly ScaledLora[]
  /** Told of LoRA keys without a module. */
  readonly onWarning?: (message: string) => void
  readonly signal?: AbortSignal
}

/**
 * A component's weights in the form that this engine maps: held against the graphs that are built from them, with LoRAs merged and
 * convolutions in the CPU kernels' form where the prepared file is kept.
 * @throws CheckpointError, SafetensorsError
 */
export async function prepareWeights(
  { weightCache, runtime, keepsPreparedWeights }: Engine,
  component: Component,
  graphs: readonly WeightUser[],
  { loras = [], onWarning, signal, ...options }: PrepareWeightsOptions = {},
): Promise<Weights> {
  const stored = await component.weights(options)
  checkWeights(stored, graphs)
  const { edits, unmatched } = loraEdits(stored, loras, runtime)
  if (unmatched.length > 0)
    onWarning?.(`${component.name} has no module for ${summary(unmatched)} of the LoRA; skipped`)
  const convolutionBlock = keepsPreparedWeights ? await runtime.convolutionBlock() : undefined
  return weightCache.prepare(stored, {
    ...(edits && { edits }),
    ...(signal && { signal }),
    ...(convolutionBlock !== undefined && { convolutionBlock }),
  })
}

/** The first few of many names. */
function summary(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
