import { openLora, type ScaledLora } from '../adapters/lora.ts'
import { recordLayers } from '../adapters/lora-branches.ts'
import type { BaseWeights } from '../adapters/lora-match.ts'
import {
  type Checkpoint,
  type CheckpointOptions,
  type Component,
  openCheckpoint,
  openComponent,
} from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import { openWeightFile } from '../checkpoint/component-weights.ts'
import type { Graph } from '../graph/graph.ts'
import { AUTOENCODER_RENAMES, buildDecoderGraph, buildEncoderGraph } from '../models/autoencoder-kl.ts'
import { parseAutoencoderConfig, spatialFactor } from '../models/autoencoder-kl-config.ts'
import { buildTextEncoderGraph, CLIP_TEXT_RENAMES } from '../models/clip-text.ts'
import { parseClipTextConfig } from '../models/clip-text-config.ts'
import { buildUNetGraph } from '../models/unet-2d-condition.ts'
import { parseUNetConfig } from '../models/unet-2d-condition-config.ts'
import { createScheduler } from '../schedulers/from-config.ts'
import { loadClipTokenizer } from '../tokenizers/clip-tokenizer.ts'
import { holdAgainst, type LoraFile } from './apply-loras.ts'
import { Autoencoder } from './autoencoder.ts'
import { loadEarlyDecoder } from './early-decoder.ts'
import type { Engine } from './engine.ts'
import { type PrepareWeightsOptions, prepareWeights } from './prepare-weights.ts'
import { loadPreviewDecoder } from './preview-decoder.ts'
import type { StableDiffusion } from './stable-diffusion.ts'
import { TextEncoder, TextEncoders } from './text-encoders.ts'
import { UNet } from './unet.ts'

export interface LoadOptions extends CheckpointOptions {
  /** Folder or file of a UNet that takes the place of the checkpoint's own. */
  readonly unet?: string
  /** Folder or file of an autoencoder that takes the place of the checkpoint's own; its factor gives the model's native size. */
  readonly vae?: string
  /** Merged into the weights in order, for good: what a base model is always used with. */
  readonly loras?: readonly LoraFile[]
  /** File of IC-Light's offsets, added to the UNet's weights; such a model draws with `applyIcLight` alone. SD1.5. */
  readonly icLight?: string
  /** Told of things a user should know that are no errors: LoRA keys without a module. */
  readonly onWarning?: (message: string) => void
  readonly signal?: AbortSignal
}

const PIPELINES: Readonly<Record<string, StableDiffusion['kind']>> = {
  StableDiffusionPipeline: 'stable-diffusion',
  StableDiffusionImg2ImgPipeline: 'stable-diffusion',
  StableDiffusionInpaintPipeline: 'stable-diffusion',
  LatentConsistencyModelPipeline: 'stable-diffusion',
  LatentConsistencyModelImg2ImgPipeline: 'stable-diffusion',
  StableDiffusionXLPipeline: 'stable-diffusion-xl',
  StableDiffusionXLImg2ImgPipeline: 'stable-diffusion-xl',
  StableDiffusionXLInpaintPipeline: 'stable-diffusion-xl',
}

/**
 * Loads a checkpoint of the Stable Diffusion family: a diffusers folder, or a single file of the original layout. Configs and weight headers are checked now, sessions are made
 * when they are first used.
 * @throws CheckpointError, ModelConfigError, WeightFileError: one message that names the file, the tensor and the likely cause
 */
export async function loadStableDiffusion(
  engine: Engine,
  path: string,
  options: LoadOptions = {},
): Promise<StableDiffusion> {
  const { unet: otherUNet, vae: otherVae, loras = [], icLight, onWarning, signal, ...checkpointOptions } = options
  const checkpoint = await openCheckpoint(path, checkpointOptions)
  const kind = PIPELINES[checkpoint.className]
  if (kind === undefined) {
    throw new CheckpointError(
      `${checkpoint.source} is a ${checkpoint.className}; expected one of ${Object.keys(PIPELINES).join(', ')}`,
    )
  }
  const prepare = {
    loras: await Promise.all(loras.map(openScaledLora)),
    ...(signal && { signal }),
  }
  const vaeComponent =
    otherVae === undefined ? checkpoint.component('vae') : await openComponent(otherVae, 'vae', checkpointOptions)
  const vae = await loadAutoencoder(engine, vaeComponent, prepare)
  const unetComponent =
    otherUNet === undefined
      ? checkpoint.component('unet')
      : await openOtherUNet(otherUNet, checkpoint.component('unet'), checkpointOptions)
  const offsets = icLight === undefined ? undefined : await openWeightFile('ic_light', icLight)
  const unet = await loadUNet(engine, unetComponent, { ...prepare, ...(offsets && { offsets }) })
  const schedulerConfig = await checkpoint.component('scheduler').config()
  const { sampleSize } = unet.config
  const previewDecoder =
    (await loadPreviewDecoder(engine, checkpoint.folder, vae)) ??
    (otherVae === undefined ? await loadEarlyDecoder(engine, checkpoint.folder, vae) : undefined)
  const textEncoders = await loadTextEncoders(engine, checkpoint, kind, prepare)
  const weights = [...textEncoders.weights, unet.weights, vae.weights]
  engine.readAhead(weights)
  const model: StableDiffusion = {
    kind,
    folder: checkpoint.folder,
    defaultSize: sampleSize
      ? { height: sampleSize[0] * vae.factor, width: sampleSize[1] * vae.factor }
      : { height: vae.config.sampleSize[0], width: vae.config.sampleSize[1] },
    unet,
    vae,
    ...(previewDecoder && { previewDecoder }),
    textEncoders,
    weights,
    zerosForAbsentPrompt:
      kind === 'stable-diffusion-xl' && checkpoint.modelIndex.force_zeros_for_empty_prompt !== false,
    createScheduler: ({ name, overrides }) => createScheduler(name, schedulerConfig, overrides),
  }
  for (const { lora } of prepare.loras) holdAgainst(model, lora, onWarning)
  return model
}

/** Fields of a UNet's config that its tensors do not show: a file without a config is like the checkpoint's own UNet in these. */
const UNSHOWN_FIELDS: readonly string[] = [
  'attention_head_dim',
  'num_attention_heads',
  'norm_num_groups',
  'norm_eps',
  'addition_time_embed_dim',
  'flip_sin_to_cos',
  'freq_shift',
  'downsample_padding',
  'sample_size',
]

async function openOtherUNet(path: string, own: Component, options: CheckpointOptions): Promise<Component> {
  const config = Object.entries(await own.config()).filter(([field]) => UNSHOWN_FIELDS.includes(field))
  return openComponent(path, 'unet', {
    ...options,
    configs: { unet: { ...Object.fromEntries(config), ...options.configs?.unet } },
  })
}

async function openScaledLora({ path, scale }: LoraFile): Promise<ScaledLora> {
  return { lora: await openLora(path), scale }
}

async function loadUNet(engine: Engine, component: Component, options: PrepareWeightsOptions): Promise<UNet> {
  const json = await component.config()
  const inChannels = options.offsets?.tensors.get('conv_in.weight')?.shape[1]
  const config = parseUNetConfig(inChannels === undefined ? json : { ...json, in_channels: inChannels })
  const side = 2 ** (config.downBlocks.length - 1)
  const layers = recordLayers()
  const smallest = buildUNetGraph(config, { batch: 1, height: side, width: side }, () => ({
    layer: layers.hook,
  }))
  const weights = await prepareWeights(engine, component, [smallest], options)
  return new UNet(config, weights, engine.sessions, { layers: layers.shapes, parameters: parametersOf(smallest) })
}

async function loadAutoencoder(
  engine: Engine,
  component: Component,
  options: PrepareWeightsOptions,
): Promise<Autoencoder> {
  const config = parseAutoencoderConfig(await component.config())
  const factor = spatialFactor(config)
  const smallest = { batch: 1, height: factor, width: factor }
  const graphs = [buildDecoderGraph(config, smallest), buildEncoderGraph(config, smallest)]
  const weights = await prepareWeights(engine, component, graphs, { ...options, renames: AUTOENCODER_RENAMES })
  return new Autoencoder(config, weights, engine.sessions)
}

async function loadTextEncoders(
  engine: Engine,
  checkpoint: Checkpoint,
  kind: StableDiffusion['kind'],
  options: PrepareWeightsOptions,
): Promise<TextEncoders> {
  const first = await loadTextEncoder(engine, checkpoint, '', options)
  if (kind === 'stable-diffusion') return new TextEncoders(first)
  return new TextEncoders(first, await loadTextEncoder(engine, checkpoint, '_2', options))
}

async function loadTextEncoder(
  engine: Engine,
  checkpoint: Checkpoint,
  suffix: '' | '_2',
  options: PrepareWeightsOptions,
): Promise<TextEncoder> {
  const name = `text_encoder${suffix}`
  const component = checkpoint.component(name)
  const config = parseClipTextConfig(await component.config())
  const projected = checkpoint.components.get(name) === 'CLIPTextModelWithProjection'
  const outputs = [projected ? 'text_embeds' : 'last_hidden_state'] as const
  const layers = recordLayers()
  const graph = buildTextEncoderGraph(config, { batch: 1, tokens: 1, outputs }, () => layers.hook)
  const weights = await prepareWeights(engine, component, [graph], { ...options, renames: CLIP_TEXT_RENAMES })
  const { folder, padToken, source } = checkpoint.component(`tokenizer${suffix}`)
  const tokenizer = await loadClipTokenizer(folder, padToken)
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new CheckpointError(
      `the tokenizer of ${source} knows ${tokenizer.vocabSize} tokens and its ${name} ${config.vocabSize}: they do not belong together`,
      { path: folder },
    )
  }
  return new TextEncoder(tokenizer, config, weights, engine.sessions, {
    layers: layers.shapes,
    parameters: parametersOf(graph),
  })
}

/** Shapes of a graph's weights, without the graph. */
function parametersOf(graph: Graph): BaseWeights {
  return new Map([...graph.weights].map(([key, { shape }]) => [key, { shape }]))
}
