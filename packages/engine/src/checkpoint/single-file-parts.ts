/** Which models a single file holds, and which of its keys belong to each: decided by its keys, never by its name. */

import { displayName } from '../formats/display-name.ts'
import type { WeightFile } from '../formats/stored-tensor.ts'
import { CheckpointError } from './checkpoint-error.ts'

export type PartName = 'unet' | 'vae' | 'controlnet' | 'clip' | 'open_clip'

/** The keys of one model in the file. */
export interface FilePart {
  /** Whose names they are: the original's (CompVis LDM, Stability SGM, OpenCLIP), or those of diffusers and transformers. */
  readonly layout: 'ldm' | 'diffusers'
  /** Keys in the file, by their names without the model's prefix. */
  readonly storedKeys: ReadonlyMap<string, string>
}

export type FileParts = ReadonlyMap<PartName, FilePart>

export type ModelFamily = 'sd1' | 'sd2' | 'sdxl'

const PREFIXES: readonly (readonly [prefix: string, part: PartName])[] = [
  ['model.diffusion_model.', 'unet'],
  ['first_stage_model.', 'vae'],
  ['vae.', 'vae'],
  ['control_model.', 'controlnet'],
  ['cond_stage_model.transformer.', 'clip'],
  ['conditioner.embedders.0.transformer.', 'clip'],
  ['cond_stage_model.model.', 'open_clip'],
  ['conditioner.embedders.1.model.', 'open_clip'],
]

/** What another model's file has, and what it is. */
const FOREIGN: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/(^|\.)joint_blocks\.\d/, 'a Stable Diffusion 3 model'],
  [/(^|\.)double_blocks\.\d/, 'a FLUX model'],
  [/^conditioner\.embedders\.0\.model\./, 'an SDXL refiner, which draws nothing by itself'],
  [/^edm_mean$/, 'a Playground v2.5 checkpoint, whose EDM scheduler is missing here'],
  [/^lora_controlnet$/, 'a Control-LoRA; take the whole ControlNet'],
  [
    /^(control_type_proj|task_embedding)$|^control_add_embedding\./,
    'a Union ControlNet; take the one for this kind of picture',
  ],
]

/**
 * The models in a file of weights.
 * @param source what messages call it
 * @throws CheckpointError for models of other kinds, and files that hold no model (adapters)
 */
export function partsOf(file: WeightFile, source: string = displayName(file.path)): FileParts {
  const foreign = FOREIGN.find(([pattern]) => [...file.tensors.keys()].some((key) => pattern.test(key)))
  if (foreign) throw new CheckpointError(`${source} is ${foreign[1]}: not supported`, { path: file.path })
  const grouped = new Map<PartName, Map<string, string>>()
  for (const key of file.tensors.keys()) {
    const [prefix, part] = PREFIXES.find(([text]) => key.startsWith(text)) ?? []
    if (prefix === undefined || part === undefined) continue
    grouped.set(part, (grouped.get(part) ?? new Map()).set(key.slice(prefix.length), key))
  }
  if (grouped.size === 0) {
    const part = bareModel(file.tensors)
    if (!part) throw new CheckpointError(`${source} ${notAModel(file)}`, { path: file.path })
    grouped.set(part, new Map([...file.tensors.keys()].map((key) => [key, key])))
  }
  return new Map([...grouped].map(([part, storedKeys]) => [part, { layout: layoutOf(part, storedKeys), storedKeys }]))
}

/** A model that fills the whole file, its keys without a prefix. */
function bareModel(keys: ReadonlyMap<string, unknown>): PartName | undefined {
  if (keys.has('input_hint_block.0.weight') || keys.has('controlnet_cond_embedding.conv_in.weight')) return 'controlnet'
  if (keys.has('input_blocks.0.0.weight')) return 'unet'
  if (keys.has('conv_in.weight') && keys.has('time_embedding.linear_1.weight')) return 'unet'
  return keys.has('decoder.conv_in.weight') ? 'vae' : undefined
}

const DIFFUSERS_NAMES: Readonly<Record<PartName, RegExp>> = {
  unet: /^(down_blocks|mid_block|up_blocks)\./,
  controlnet: /^(down_blocks|mid_block)\./,
  vae: /^decoder\.(up_blocks|mid_block)\./,
  clip: /./,
  open_clip: /^text_model\./,
}

function layoutOf(part: PartName, keys: ReadonlyMap<string, string>): FilePart['layout'] {
  return [...keys.keys()].some((key) => DIFFUSERS_NAMES[part].test(key)) ? 'diffusers' : 'ldm'
}

function notAModel(file: WeightFile): string {
  const keys = [...file.tensors.keys()]
  if (keys.some((key) => /lora_|hada_|lokr_|oft_/.test(key))) return 'is a LoRA, not a model'
  if (keys.some((key) => /^(ip_adapter|image_proj)\./.test(key))) return 'is an IP-Adapter, not a model'
  if (keys.length < 10) return `holds no model, but perhaps an embedding: ${keys.slice(0, 3).join(', ')}`
  return `is no Stable Diffusion model: its keys begin with ${keys.slice(0, 3).join(', ')}`
}

/**
 * The family of a whole checkpoint, by its text encoders.
 * @throws CheckpointError when it is no whole checkpoint: the message says which models it holds
 */
export function familyOf(file: WeightFile, parts: FileParts, source: string = displayName(file.path)): ModelFamily {
  const missing = (['unet', 'vae'] as const).filter((part) => !parts.has(part))
  const family = parts.has('clip')
    ? parts.has('open_clip')
      ? 'sdxl'
      : 'sd1'
    : parts.has('open_clip')
      ? 'sd2'
      : undefined
  if (family && missing.length === 0) return family
  const names = { unet: 'UNet', vae: 'VAE', controlnet: 'ControlNet', clip: 'text encoder', open_clip: 'text encoder' }
  const has = [...parts.keys()].map((part) => names[part]).join(' and ')
  const lacks = [...missing.map((part) => names[part]), ...(family ? [] : ['text encoder'])].join(' and ')
  throw new CheckpointError(`${source} is no whole checkpoint: it holds a ${has} and no ${lacks}`, {
    path: file.path,
  })
}
