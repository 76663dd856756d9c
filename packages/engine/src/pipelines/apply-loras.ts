import { type Lora, openLora, type ScaledLora } from '../adapters/lora.ts'
import { LoraBranches } from '../adapters/lora-branches.ts'
import { loraChanges } from '../adapters/lora-changes.ts'
import type { LoraComponent } from '../adapters/lora-keys.ts'
import {
  type BaseMatch,
  describeUnused,
  type LoraBase,
  matchLoraToBase,
  requireOwnBase,
} from '../adapters/lora-match.ts'
import type { Adapters } from './draw-images.ts'
import type { StableDiffusion } from './stable-diffusion.ts'
import type { TextAdapters } from './text-encoders.ts'

/** A LoRA file and how much of it is wanted. */
export interface LoraFile {
  readonly path: string
  /** Multiplies what the file says; negative scales are legal. */
  readonly scale: number
}

/** LoRAs of a request, told apart by how they can be applied. */
export interface SortedLoras {
  /** Changes of low rank alone: they run beside the weights of the model as it is. */
  readonly beside: readonly ScaledLora[]
  /** Others (LoKr, DoRA, large LoHa, whole differences): `loadStableDiffusion` merges them into weights of their own. */
  readonly merged: readonly LoraFile[]
}

/**
 * Opens LoRA files and holds them against a model.
 * @param onWarning told of keys that change nothing
 * @throws CheckpointError for a file that is no LoRA, or one of another base; WeightFileError when it is damaged
 */
export async function sortLoras(
  model: StableDiffusion,
  files: readonly LoraFile[],
  onWarning?: (message: string) => void,
): Promise<SortedLoras> {
  const [beside, merged]: [ScaledLora[], LoraFile[]] = [[], []]
  for (const { path, scale } of files) {
    const lora = await openLora(path)
    const match = holdAgainst(model, lora, onWarning)
    if (runsBeside(model, match)) beside.push({ lora, scale })
    else merged.push({ path, scale })
  }
  return { beside, merged }
}

/**
 * What a LoRA changes of a model.
 * @param onWarning told of keys that change nothing
 * @throws CheckpointError for a LoRA of another base
 */
export function holdAgainst(model: StableDiffusion, lora: Lora, onWarning?: (message: string) => void): BaseMatch {
  const match = matchLoraToBase(lora, baseOf(model))
  requireOwnBase(lora, match.matches)
  for (const line of describeUnused(lora, match.unused)) onWarning?.(line)
  return match
}

/**
 * LoRAs that run beside a model's weights. Their factors are read when they are first run with, and not again while the same adapters
 * are.
 * @returns what to pass to a pipeline; of a component that no LoRA changes nothing
 */
export function applyLoras(model: StableDiffusion, loras: readonly ScaledLora[]): Adapters {
  const unet = branchesOf('unet', model, loras)
  const textEncoders: TextAdapters = {
    ...textAdapter('text_encoder', model, loras),
    ...textAdapter('text_encoder_2', model, loras),
  }
  return { unet: unet ? [unet.asUNetAdapter()] : [], textEncoders }
}

function textAdapter(
  component: 'text_encoder' | 'text_encoder_2',
  model: StableDiffusion,
  loras: readonly ScaledLora[],
): TextAdapters {
  const lora = branchesOf(component, model, loras)
  return lora ? { [component]: { lora } } : {}
}

function branchesOf(
  component: LoraComponent,
  model: StableDiffusion,
  loras: readonly ScaledLora[],
): LoraBranches | undefined {
  const part = componentsOf(model)[component]
  if (!part) return undefined
  const { changes } = loraChanges(component, part.layers, loras)
  return changes.size > 0 ? new LoraBranches(component, part.layers, changes) : undefined
}

function componentsOf({ unet, textEncoders }: StableDiffusion) {
  const { first, second } = textEncoders
  return { unet, text_encoder: first, text_encoder_2: second }
}

function baseOf(model: StableDiffusion): LoraBase {
  const { unet, text_encoder, text_encoder_2 } = componentsOf(model)
  return {
    unet: unet.parameters,
    text_encoder: text_encoder.parameters,
    ...(text_encoder_2 && { text_encoder_2: text_encoder_2.parameters }),
  }
}

/** Whether all that a LoRA changes are layers, by low rank. */
function runsBeside(model: StableDiffusion, { matches }: BaseMatch): boolean {
  const components = componentsOf(model)
  return matches.every(({ component, weights, biases }) => {
    const layers = components[component]?.layers
    return biases.length === 0 && weights.every(({ branchRank, path }) => branchRank !== undefined && layers?.has(path))
  })
}
