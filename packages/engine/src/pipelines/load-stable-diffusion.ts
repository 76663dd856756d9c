import { loraEdits, openLora, type ScaledLora } from '../adapters/lora.ts'
import { checkWeights } from '../checkpoint/check-weights.ts'
import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { ComponentWeights, WeightsOptions } from '../checkpoint/component-weights.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { Graph } from '../graph/graph.ts'
import { AUTOENCODER_RENAMES, buildDecoderGraph, buildEncoderGraph, scaleLatents } from '../models/autoencoder-kl.ts'
import { parseAutoencoderConfig, spatialFactor } from '../models/autoencoder-kl-config.ts'
import { buildTextEncoderGraph, CLIP_TEXT_RENAMES } from '../models/clip-text.ts'
import { parseClipTextConfig } from '../models/clip-text-config.ts'
import { buildUNetGraph } from '../models/unet-2d-condition.ts'
import { parseUNetConfig } from '../models/unet-2d-condition-config.ts'
import { createScheduler } from '../schedulers/from-config.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import { loadClipTokenizer } from '../tokenizers/clip-tokenizer.ts'
import type { Engine } from './engine.ts'
import { encodePrompt, type TextEncoders } from './prompt-encoding.ts'
import type { Autoencoder, StableDiffusion, UNet } from './stable-diffusion.ts'
import { TextEncoder } from './text-encoder.ts'

export interface LoraFile {
  readonly path: string
  /** Multiplies what the file says; negative scales are legal. */
  readonly scale: number
}

export interface LoadOptions {
  /** Precision variant of the weight files, `fp16`. */
  readonly variant?: string
  /** Merged into the weights in order. */
  readonly loras?: readonly LoraFile[]
  /** Told of things a user should know that are no errors: LoRA keys without a module. */
  readonly onWarning?: (message: string) => void
  readonly signal?: AbortSignal
}

const PIPELINES: Readonly<Record<string, StableDiffusion['kind']>> = {
  StableDiffusionPipeline: 'stable-diffusion',
  StableDiffusionImg2ImgPipeline: 'stable-diffusion',
  LatentConsistencyModelPipeline: 'stable-diffusion',
  LatentConsistencyModelImg2ImgPipeline: 'stable-diffusion',
  StableDiffusionXLPipeline: 'stable-diffusion-xl',
  StableDiffusionXLImg2ImgPipeline: 'stable-diffusion-xl',
}

/**
 * Loads a diffusers checkpoint of the Stable Diffusion family. Configs and weight headers are checked now, sessions are made
 * when they are first used.
 * @throws CheckpointError, ModelConfigError, SafetensorsError: one message that names the file, the tensor and the likely cause
 */
export async function loadStableDiffusion(
  engine: Engine,
  folder: string,
  options: LoadOptions = {},
): Promise<StableDiffusion> {
  const checkpoint = await openCheckpoint(folder, options.variant === undefined ? {} : { variant: options.variant })
  const kind = PIPELINES[checkpoint.className]
  if (kind === undefined) {
    throw new CheckpointError(
      `${folder} is a ${checkpoint.className}; expected one of ${Object.keys(PIPELINES).join(', ')}`,
    )
  }
  const loras = await Promise.all((options.loras ?? []).map(openScaledLora))
  const load = new ComponentLoader(engine, checkpoint, loras, options)
  const { vae, vaeSampleSize } = await load.autoencoder()
  const { unet, unetSampleSize } = await load.unet()
  const schedulerConfig = await checkpoint.component('scheduler').config()
  const textEncoders = await load.textEncoders(kind)
  return {
    kind,
    folder: checkpoint.folder,
    defaultSize: unetSampleSize
      ? { height: unetSampleSize[0] * vae.factor, width: unetSampleSize[1] * vae.factor }
      : { height: vaeSampleSize[0], width: vaeSampleSize[1] },
    unet,
    vae,
    zerosForAbsentPrompt:
      kind === 'stable-diffusion-xl' && checkpoint.modelIndex.force_zeros_for_empty_prompt !== false,
    encodePrompt: (prompt, clipSkip) => encodePrompt(textEncoders, prompt, clipSkip),
    createScheduler: ({ name, overrides }) => createScheduler(name, schedulerConfig, overrides),
  }
}

async function openScaledLora({ path, scale }: LoraFile): Promise<ScaledLora> {
  return { lora: await openLora(path), scale }
}

/** Opens components one by one: config, headers held against the graphs, weights prepared. */
class ComponentLoader {
  readonly #engine: Engine
  readonly #checkpoint: Checkpoint
  readonly #loras: readonly ScaledLora[]
  readonly #options: LoadOptions

  constructor(engine: Engine, checkpoint: Checkpoint, loras: readonly ScaledLora[], options: LoadOptions) {
    this.#engine = engine
    this.#checkpoint = checkpoint
    this.#loras = loras
    this.#options = options
  }

  async unet() {
    const { sessions } = this.#engine
    const config = parseUNetConfig(await this.#checkpoint.component('unet').config())
    const side = 2 ** (config.downBlocks.length - 1)
    const smallest = buildUNetGraph(config, { batch: 1, height: side, width: side, tokens: 1 })
    const weights = await this.#weights('unet', [smallest])
    const unet: UNet = {
      inChannels: config.inChannels,
      timeCondProjDim: config.timeCondProjChannels ?? undefined,
      async predict(input) {
        const [batch, , height, width] = input.sample.shape as [number, number, number, number]
        const tokens = input.encoderHiddenStates.shape[1] as number
        const session = await sessions.get(weights, `${batch}x${height}x${width} ${tokens}`, () =>
          buildUNetGraph(config, { batch, height, width, tokens }),
        )
        const { noise_pred } = await session.run({
          sample: input.sample,
          timestep: float32([1], Float32Array.of(input.timestep)),
          encoder_hidden_states: input.encoderHiddenStates,
          ...(input.timestepCond && { timestep_cond: input.timestepCond }),
          ...(input.textEmbeds && { text_embeds: input.textEmbeds }),
          ...(input.timeIds && { time_ids: input.timeIds }),
        })
        return noise_pred as FloatTensor
      },
    }
    return { unet, unetSampleSize: config.sampleSize }
  }

  async autoencoder() {
    const { sessions } = this.#engine
    const config = parseAutoencoderConfig(await this.#checkpoint.component('vae').config())
    const factor = spatialFactor(config)
    const smallest = { batch: 1, height: factor, width: factor }
    const graphs = [buildDecoderGraph(config, smallest), buildEncoderGraph(config, smallest)]
    const weights = await this.#weights('vae', graphs, { renames: AUTOENCODER_RENAMES })
    const vae: Autoencoder = {
      latentChannels: config.latentChannels,
      factor,
      scale: (sample) => scaleLatents(config, sample),
      requireDecodable: (size) => sessions.requireFits(buildDecoderGraph(config, { batch: 1, ...size })),
      async decode(latents) {
        const [batch, , h, w] = latents.shape as [number, number, number, number]
        const size = { batch, height: h * factor, width: w * factor }
        const session = await sessions.get(weights, `decoder ${batch}x${size.height}x${size.width}`, () =>
          buildDecoderGraph(config, size),
        )
        return (await session.run({ latents })).image as FloatTensor
      },
      async encode(image) {
        const [batch, , height, width] = image.shape as [number, number, number, number]
        const session = await sessions.get(weights, `encoder ${batch}x${height}x${width}`, () =>
          buildEncoderGraph(config, { batch, height, width }),
        )
        const { mean, logvar } = await session.run({ image })
        return { mean: mean as FloatTensor, logvar: logvar as FloatTensor }
      },
    }
    return { vae, vaeSampleSize: config.sampleSize }
  }

  async textEncoders(kind: StableDiffusion['kind']): Promise<TextEncoders> {
    const first = await this.#textEncoder('')
    return kind === 'stable-diffusion' ? { first } : { first, second: await this.#textEncoder('_2') }
  }

  async #textEncoder(suffix: '' | '_2'): Promise<TextEncoder> {
    const name = `text_encoder${suffix}`
    const config = parseClipTextConfig(await this.#checkpoint.component(name).config())
    const projected = this.#checkpoint.components.get(name) === 'CLIPTextModelWithProjection'
    const outputs = [projected ? 'text_embeds' : 'last_hidden_state'] as const
    const graph = buildTextEncoderGraph(config, { batch: 1, tokens: 1, outputs })
    const weights = await this.#weights(name, [graph], { renames: CLIP_TEXT_RENAMES })
    const tokenizer = await loadClipTokenizer(this.#checkpoint.component(`tokenizer${suffix}`).folder)
    return new TextEncoder(tokenizer, config, weights, this.#engine.sessions)
  }

  async #weights(name: string, graphs: readonly Graph[], options: WeightsOptions = {}): Promise<Weights> {
    const stored: ComponentWeights = await this.#checkpoint.component(name).weights(options)
    checkWeights(stored, graphs)
    const { weightCache, runtime, keepsPreparedWeights } = this.#engine
    const { signal, onWarning } = this.#options
    const { edits, unmatched } = loraEdits(stored, this.#loras, runtime)
    if (unmatched.length > 0) onWarning?.(`${name} has no module for ${summary(unmatched)} of the LoRA; skipped`)
    const convolutionBlock = keepsPreparedWeights ? await runtime.convolutionBlock() : undefined
    return weightCache.prepare(stored, {
      ...(edits && { edits }),
      ...(signal && { signal }),
      ...(convolutionBlock !== undefined && { convolutionBlock }),
    })
  }
}

/** The first few of many names. */
function summary(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
