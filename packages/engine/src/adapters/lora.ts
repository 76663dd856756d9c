import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { type ComponentWeights, openWeightFile, readStoredTensor } from '../checkpoint/component-weights.ts'
import { defined } from '../tensor/defined.ts'
import { allFinite, elementCount, type FloatTensor, type Shape } from '../tensor/tensor.ts'
import { assembleModule, type ModuleParts } from './lora-assembly.ts'
import { describeUnknownKey, parseLoraKey } from './lora-keys.ts'
import { type PeftScales, readAdapterConfig, readPeftScales } from './lora-metadata.ts'
import type { BiasChange, LoraModule, UnusedKey } from './lora-module.ts'
import { mapTensors, type WeightChange } from './lora-weight-change.ts'

/** The header of a LoRA file, understood. Nothing is kept open. */
export interface Lora {
  readonly path: string
  readonly file: ComponentWeights
  readonly modules: readonly LoraModule[]
  /** Keys that are part of no change, whatever the base is. */
  readonly unused: readonly UnusedKey[]
}

/** A LoRA and how much of it: 1 is as it was trained, negative scales are legal, the same one twice adds twice. */
export interface ScaledLora {
  readonly lora: Lora
  /** Default 1. */
  readonly scale?: number
}

const MAX_KEYS = 50_000

/**
 * Reads the header of a LoRA file, its alphas, and peft's configuration in it or beside it.
 * @throws CheckpointError when it holds no LoRA; WeightFileError when it is damaged
 */
export async function openLora(path: string): Promise<Lora> {
  const file = await openWeightFile('lora', path)
  return readLora(path, file, readPeftScales(metadataOf(file), await readAdapterConfig(path)))
}

/**
 * Understands the header of a LoRA that is a file, or a part of one.
 * @throws as `openLora`
 */
export async function readLora(
  path: string,
  file: ComponentWeights,
  peftScales: PeftScales = readPeftScales(metadataOf(file)),
): Promise<Lora> {
  if (file.tensors.size > MAX_KEYS) {
    throw new CheckpointError(
      `${file.source} has ${file.tensors.size} keys; a LoRA of the largest model has some thousands`,
    )
  }
  const found = new Map<string, ModuleParts>()
  const unused: UnusedKey[] = []
  for (const key of file.tensors.keys()) {
    const parsed = parseLoraKey(key)
    if (!parsed) {
      unused.push({ key, reason: describeUnknownKey(key) })
      continue
    }
    const id = `${parsed.component} ${parsed.module}`
    const module = found.get(id) ?? { ...parsed, parts: new Map() }
    const other = module.parts.get(parsed.part)
    if (other === undefined) module.parts.set(parsed.part, key)
    else unused.push({ key, reason: `it repeats ${other}` })
    found.set(id, module)
  }
  const shapeOf = (key: string): Shape => storedTensor(file, key).shape
  const modules: LoraModule[] = []
  for (const parts of found.values()) {
    const alphaKey = parts.parts.get('alpha')
    const alpha = alphaKey === undefined ? undefined : await readAlpha(file, alphaKey)
    const assembled = assembleModule(parts, { alpha, peftScales, shapeOf })
    unused.push(...assembled.unused)
    if (assembled.module) modules.push(assembled.module)
  }
  if (modules.length === 0) {
    const [first] = unused
    const why = first ? `${first.key}: ${first.reason}` : 'it has no tensors'
    throw new CheckpointError(`${file.source} holds no LoRA: ${why}`)
  }
  return { path, file, modules, unused }
}

function metadataOf({ files: [file] }: ComponentWeights): Readonly<Record<string, string>> {
  return file?.metadata ?? {}
}

async function readAlpha(file: ComponentWeights, key: string): Promise<number> {
  const { shape } = storedTensor(file, key)
  if (elementCount(shape) !== 1)
    throw new CheckpointError(`${file.source}: ${key} must be one number, it is [${shape}]`)
  const [alpha] = (await readFileTensor(file, key)).data
  return alpha as number
}

/**
 * Reads the tensors of a change.
 * @throws CheckpointError when one has a value that is no finite number
 */
export async function readChange(lora: Lora, change: WeightChange<string>): Promise<WeightChange<FloatTensor>> {
  const keys: string[] = []
  mapTensors(change, (key) => keys.push(key))
  const tensors = new Map<string, FloatTensor>()
  for (const key of keys) tensors.set(key, await readFileTensor(lora.file, key))
  return mapTensors(change, (key) => defined(tensors.get(key)))
}

/** What is added to a bias, scaled. @throws CheckpointError as `readChange` */
export async function readBiasChange(lora: Lora, { key, scale }: BiasChange): Promise<FloatTensor> {
  const stored = await readFileTensor(lora.file, key)
  return { ...stored, data: stored.data.map((value) => value * scale) }
}

async function readFileTensor(file: ComponentWeights, key: string): Promise<FloatTensor> {
  const stored = storedTensor(file, key)
  const tensor = await readStoredTensor(stored)
  if (!allFinite(tensor)) {
    throw new CheckpointError(`${file.source}: ${key} has values that are no finite numbers; the file is damaged`)
  }
  return tensor
}

/** A tensor's place in the file. */
export function storedTensor(file: ComponentWeights, key: string) {
  const stored = file.tensors.get(key)
  if (!stored) throw new CheckpointError(`${file.source} has no tensor ${key}`)
  return stored
}
