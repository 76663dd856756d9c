import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { type ComponentWeights, openWeightFile } from '../checkpoint/component-weights.ts'
import type { WeightEdits } from '../checkpoint/prepared-weights.ts'
import { readTensor } from '../formats/safetensors.ts'
import type { FloatTensor } from '../tensor/tensor.ts'
import { type LoraComponent, type LoraPart, modulesByName, parseLoraKey } from './lora-keys.ts'
import { scaleFromMetadata } from './lora-metadata.ts'
import { LowRankMerger, type SessionFactory } from './low-rank-merger.ts'

/** The file keys of one module's factors. */
export interface LoraModule {
  readonly component: LoraComponent
  /** As the file names it. */
  readonly name: string
  readonly down: string
  readonly up: string
  readonly alpha: string | undefined
}

/** The header of a LoRA file. */
export interface Lora {
  readonly path: string
  readonly file: ComponentWeights
  readonly modules: readonly LoraModule[]
  /** Keys of other kinds (LoHa, LoKr, DoRA, Tucker factors, half of a pair): they change nothing, so tell the user. */
  readonly skippedKeys: readonly string[]
}

/** A LoRA and how much of it: 1 is as it was trained, negative scales are legal, the same one twice adds twice. */
export interface ScaledLora {
  readonly lora: Lora
  /** Default 1. */
  readonly scale?: number
}

export interface LoraEdits {
  /** What to pass to `WeightCache.prepare`; undefined when no module matches. */
  readonly edits: WeightEdits | undefined
  /** Paths of the matched modules in the component. */
  readonly modules: readonly string[]
  /** Modules of the LoRAs that this component does not have, as the files name them: they are skipped, so tell the user. */
  readonly unmatched: readonly string[]
}

/**
 * Reads the header of a LoRA file.
 * @throws CheckpointError when it holds no LoRA; SafetensorsError when it is damaged
 */
export async function openLora(path: string): Promise<Lora> {
  const file = await openWeightFile('lora', path)
  const found = new Map<string, { component: LoraComponent; name: string; parts: Partial<Record<LoraPart, string>> }>()
  const skippedKeys: string[] = []
  for (const key of file.tensors.keys()) {
    const parsed = parseLoraKey(key)
    if (!parsed) {
      skippedKeys.push(key)
      continue
    }
    const id = `${parsed.component} ${parsed.module}`
    const module = found.get(id) ?? { component: parsed.component, name: parsed.module, parts: {} }
    module.parts[parsed.part] = key
    found.set(id, module)
  }
  const modules: LoraModule[] = []
  const incomplete = new Set(skippedKeys.map((key) => key.slice(0, key.indexOf('.lora_mid'))))
  for (const { component, name, parts } of found.values()) {
    const { down, up, alpha } = parts
    // With a Tucker core, up · down alone would be a wrong change.
    const isTucker = down !== undefined && incomplete.has(down.replace(/\.lora_down\.weight$/, ''))
    if (down === undefined || up === undefined || isTucker) skippedKeys.push(...Object.values(parts))
    else modules.push({ component, name, down, up, alpha })
  }
  if (modules.length === 0) {
    throw new CheckpointError(
      `${path} holds no LoRA: none of its ${file.tensors.size} keys is lora_unet_*, lora_te*_* or unet.*.lora_A.weight`,
    )
  }
  return { path, file, modules, skippedKeys }
}

/**
 * The merge of LoRAs into one component: W + scale · alpha/rank · up · down in float32, for linear layers and convolutions (k×k
 * down with 1×1 up; either may be stored as a matrix where the other is a convolution).
 * @param sessions computes the products: a JavaScript loop would take a minute on an SD1.5-size model
 */
export function loraEdits(
  weights: ComponentWeights,
  loras: readonly ScaledLora[],
  sessions: SessionFactory,
): LoraEdits {
  const known = modulesByName(weights.tensors.keys())
  const changes = new Map<string, { readonly lora: Lora; readonly module: LoraModule; readonly scale: number }[]>()
  const unmatched: string[] = []
  for (const { lora, scale = 1 } of loras) {
    for (const module of lora.modules.filter(({ component }) => component === weights.name)) {
      const path = known.get(module.name)
      if (path === undefined) unmatched.push(module.name)
      else changes.set(path, [...(changes.get(path) ?? []), { lora, module, scale }])
    }
  }
  const modules = [...changes.keys()]
  if (modules.length === 0) return { edits: undefined, modules, unmatched }
  const merger = new LowRankMerger(sessions)
  const edits: WeightEdits = {
    identity: JSON.stringify(loras.map(({ lora, scale = 1 }) => ['lora', lora.file.identity, scale])),
    keys: new Set(modules.map((path) => `${path}.weight`)),
    async apply(key, weight) {
      let merged = weight
      for (const { lora, module, scale } of changes.get(key.slice(0, -'.weight'.length)) ?? []) {
        const factors = await readFactors(lora, module)
        merged = await merger.merge(
          merged,
          { ...factors, scale: factors.scale * scale },
          `${lora.path}: ${module.name}`,
        )
      }
      return merged
    },
    release: () => merger.release(),
  }
  return { edits, modules, unmatched }
}

/** A module's factors and alpha/rank. */
export async function readFactors(
  lora: Lora,
  module: LoraModule,
): Promise<{ readonly down: FloatTensor; readonly up: FloatTensor; readonly scale: number }> {
  const read = (key: string) => readFileTensor(lora.file, key)
  const [down, up, alpha] = await Promise.all([
    read(module.down),
    read(module.up),
    module.alpha === undefined ? undefined : read(module.alpha),
  ])
  const rank = down.shape[0] as number
  const scale = alpha
    ? (alpha.data[0] as number) / rank
    : scaleFromMetadata(lora.file.files[0]?.metadata ?? {}, module.component, module.name, rank)
  return { down, up, scale }
}

function readFileTensor(file: ComponentWeights, key: string): Promise<FloatTensor> {
  const stored = file.tensors.get(key)
  if (!stored) throw new CheckpointError(`${file.folder} has no tensor ${key}`)
  return readTensor(stored.file, stored.storedKey)
}
