/** Single-file checkpoints (Civitai's and the original releases) and files of one model, seen as diffusers folders. */

import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { displayName } from '../formats/display-name.ts'
import type { WeightFile } from '../formats/stored-tensor.ts'
import { defined } from '../tensor/defined.ts'
import { CheckpointError } from './checkpoint-error.ts'
import type { Checkpoint, CheckpointOptions, Component } from './component.ts'
import { identityOf, type KeyRenames, readLinkedFile, type StoredTensor } from './component-weights.ts'
import { autoencoderConfig, controlNetConfig, textEncoderConfig, unetConfig } from './config-from-shapes.ts'
import type { JsonObject } from './json-file.ts'
import { type FilePart, familyOf, type ModelFamily, type PartName, partsOf } from './single-file-parts.ts'
import { partTensors } from './single-file-tensors.ts'

const BETAS = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear', num_train_timesteps: 1000 }

interface Family {
  /** Pipeline class, and that of a UNet with nine input channels. */
  readonly classNames: readonly [plain: string, inpainting: string]
  readonly imageSize: number
  readonly scalingFactor: number
  /** scheduler_config.json of the family's published diffusers checkpoint. */
  readonly scheduler: JsonObject
  /** The model that each component is. */
  readonly parts: Readonly<Record<string, PartName>>
  /** The padding tokens of tokenizers that differ in that from SD1.x's. */
  readonly tokenizers: Readonly<Record<string, string | undefined>>
}

const SD1_CLASSES = ['StableDiffusionPipeline', 'StableDiffusionInpaintPipeline'] as const

const FAMILIES: Readonly<Record<ModelFamily, Family>> = {
  sd1: {
    classNames: SD1_CLASSES,
    imageSize: 512,
    scalingFactor: 0.18215,
    scheduler: {
      _class_name: 'PNDMScheduler',
      ...BETAS,
      set_alpha_to_one: false,
      skip_prk_steps: true,
      steps_offset: 1,
    },
    parts: { unet: 'unet', vae: 'vae', text_encoder: 'clip' },
    tokenizers: { tokenizer: undefined },
  },
  // No tensor tells SD2.1, which predicts velocities, from SD2-base: diffusers takes the former too.
  sd2: {
    classNames: SD1_CLASSES,
    imageSize: 768,
    scalingFactor: 0.18215,
    scheduler: {
      _class_name: 'DDIMScheduler',
      ...BETAS,
      clip_sample: false,
      prediction_type: 'v_prediction',
      set_alpha_to_one: false,
      steps_offset: 1,
    },
    parts: { unet: 'unet', vae: 'vae', text_encoder: 'open_clip' },
    tokenizers: { tokenizer: '!' },
  },
  sdxl: {
    classNames: ['StableDiffusionXLPipeline', 'StableDiffusionXLInpaintPipeline'],
    imageSize: 1024,
    scalingFactor: 0.13025,
    scheduler: {
      _class_name: 'EulerDiscreteScheduler',
      ...BETAS,
      interpolation_type: 'linear',
      prediction_type: 'epsilon',
      steps_offset: 1,
      timestep_spacing: 'leading',
      use_karras_sigmas: false,
    },
    parts: { unet: 'unet', vae: 'vae', text_encoder: 'clip', text_encoder_2: 'open_clip' },
    tokenizers: { tokenizer: undefined, tokenizer_2: '!' },
  },
}

/** SD2 takes the state before OpenCLIP's last layer, so diffusers' text encoder of that family ends there. */
const SD2_TEXT_LAYERS = 23

const CLASSES: Readonly<Record<string, string>> = {
  unet: 'UNet2DConditionModel',
  vae: 'AutoencoderKL',
  controlnet: 'ControlNetModel',
  text_encoder: 'CLIPTextModel',
  text_encoder_2: 'CLIPTextModelWithProjection',
}

/**
 * Opens a checkpoint that is one file: SD1.x, SD2.x or SDXL, for inpainting too, of the original layout. Its tensors are used where they
 * lie; configs and scheduler are those of its family.
 * @throws CheckpointError when it is no whole checkpoint; WeightFileError when it is damaged
 */
export async function openSingleFile(path: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const opened = await openParts(path)
  const { file, parts, source } = opened
  const family = FAMILIES[familyOf(file, parts, source)]
  const folder = dirname(path)
  const components = new Map(Object.keys(family.parts).map((name) => [name, defined(CLASSES[name])]))
  const tokenizers = await findTokenizers(Object.keys(family.tokenizers), options.tokenizer, folder)
  for (const name of Object.keys(family.tokenizers)) components.set(name, 'CLIPTokenizer')
  components.set('scheduler', String(family.scheduler._class_name))
  const inputChannels = partTensorsOf(opened, 'unet').get('conv_in.weight')?.shape[1]
  const className = family.classNames[inputChannels === 9 ? 1 : 0]
  return {
    folder,
    source,
    className,
    modelIndex: { _class_name: className, force_zeros_for_empty_prompt: true },
    components,
    component(name) {
      const part = family.parts[name]
      if (part !== undefined) return partComponent(opened, name, part, { options, family })
      if (name === 'scheduler')
        return { ...bare(name, folder, source), config: async () => schedulerConfig(file, family) }
      if (!components.has(name)) throw new CheckpointError(`${source} has no component ${name}`, { path: file.path })
      const place = tokenizers.get(name)
      const padToken = family.tokenizers[name]
      if (place) return { ...bare(name, place, source), ...(padToken !== undefined && { padToken }) }
      throw new CheckpointError(
        `${source} is a single file, which has no vocabulary: CLIP's vocab.json and merges.txt are missing; ` +
          'openai/clip-vit-large-patch14 and every diffusers folder of Stable Diffusion have them; put such a folder `tokenizer` beside the file',
        { path: file.path },
      )
    },
  }
}

/**
 * One model of a file: a UNet, VAE or ControlNet that stands alone, or is part of a whole checkpoint.
 * @param name of the component: `unet`, `vae`, `controlnet`
 * @throws CheckpointError when the file holds no such model; WeightFileError when it is damaged
 */
export async function openComponentFile(
  path: string,
  name: string,
  options: CheckpointOptions = {},
): Promise<Component> {
  const opened = await openParts(path)
  const isWhole = opened.parts.has('unet') && opened.parts.has('open_clip') && opened.parts.has('clip')
  const family = FAMILIES[isWhole ? 'sdxl' : 'sd1']
  if (name === 'unet' || name === 'vae' || name === 'controlnet') {
    if (opened.parts.has(name)) return partComponent(opened, name, name, { options, family })
  }
  throw new CheckpointError(`${opened.source} holds no ${name}, but ${[...opened.parts.keys()].join(', ')}`, { path })
}

interface OpenedFile {
  readonly file: WeightFile
  readonly parts: ReadonlyMap<PartName, FilePart>
  readonly source: string
}

async function openParts(path: string): Promise<OpenedFile> {
  const file = await readLinkedFile(path)
  const source = displayName(path)
  return { file, parts: partsOf(file, source), source }
}

function partTensorsOf({ file, parts, source }: OpenedFile, name: PartName, renames?: KeyRenames) {
  const part = parts.get(name)
  if (!part) throw new CheckpointError(`${source} holds no ${name}`, { path: file.path })
  const tensors = partTensors(file, name, part, renames)
  return name === 'open_clip' && !parts.has('clip') ? withoutLastLayer(tensors) : tensors
}

function withoutLastLayer(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  const last = `text_model.encoder.layers.${SD2_TEXT_LAYERS}.`
  return new Map([...tensors].filter(([key]) => !key.startsWith(last) && key !== 'text_projection.weight'))
}

function partComponent(
  opened: OpenedFile,
  name: string,
  part: PartName,
  { options, family }: { readonly options: CheckpointOptions; readonly family: Family },
): Component {
  const { file, source } = opened
  return {
    ...bare(name, dirname(file.path), source),
    config: async () => ({
      _class_name: CLASSES[name],
      ...derivedConfig(opened, part, family),
      ...options.configs?.[name],
    }),
    async weights({ renames } = {}) {
      const tensors = partTensorsOf(opened, part, renames)
      const identity = createHash('sha256').update(JSON.stringify([await identityOf([file]), 'part', part]))
      return { name, source, files: [file], tensors, identity: identity.digest('hex') }
    },
  }
}

function derivedConfig(opened: OpenedFile, part: PartName, family: Family): JsonObject {
  try {
    return configOf(partTensorsOf(opened, part), part, family)
  } catch (cause) {
    if (!(cause instanceof CheckpointError)) throw cause
    throw new CheckpointError(`${opened.source}: ${cause.message}`, { cause, path: opened.file.path })
  }
}

function configOf(shapes: ReadonlyMap<string, StoredTensor>, part: PartName, family: Family): JsonObject {
  switch (part) {
    case 'unet':
      return unetConfig(shapes)
    case 'controlnet':
      return controlNetConfig(shapes)
    case 'vae':
      return { ...autoencoderConfig(shapes), scaling_factor: family.scalingFactor, sample_size: family.imageSize }
    case 'clip':
      return textEncoderConfig(shapes, 'quick_gelu')
    case 'open_clip':
      return textEncoderConfig(shapes, 'gelu')
  }
}

/** Some SDXL files say by an empty tensor that they predict velocities, or were trained down to a signal of nothing. */
function schedulerConfig({ tensors }: WeightFile, { scheduler }: Family): JsonObject {
  return {
    ...scheduler,
    ...(tensors.has('v_pred') && { prediction_type: 'v_prediction' }),
    ...(tensors.has('ztsnr') && { rescale_betas_zero_snr: true }),
  }
}

/** A component without weights or config of its own. */
function bare(name: string, folder: string, source: string): Component {
  const none = async (): Promise<never> => {
    throw new CheckpointError(`${name} of ${source} has no such file`)
  }
  return { name, folder, source, config: none, weights: none }
}

/** Folders of the tokenizers: the given one, or in it where it is a whole checkpoint's; else beside the file. */
async function findTokenizers(
  names: readonly string[],
  given: string | undefined,
  beside: string,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const name of names) {
    const own = given === undefined ? [] : [join(given, name), given, join(given, 'tokenizer')]
    for (const place of [...own, join(beside, name), join(beside, 'tokenizer')]) {
      if (!found.has(name) && (await isTokenizer(place))) found.set(name, place)
    }
  }
  return found
}

async function isTokenizer(folder: string): Promise<boolean> {
  const has = (name: string) =>
    access(join(folder, name)).then(
      () => true,
      () => false,
    )
  return ((await has('vocab.json')) && (await has('merges.txt'))) || has('tokenizer.json')
}
