import {
  type Control,
  type ControlModel,
  ControlNetAdapter,
  type ControlTokens,
} from '../adapters/controlnet-adapter.ts'
import type { UNetAdapter, UNetInput } from '../adapters/unet-adapter.ts'
import type { Component } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { rgbToTensor } from '../image/tensor.ts'
import {
  buildControlImageGraph,
  buildControlNetGraph,
  residualName,
  smallestControlNetGraphs,
} from '../models/controlnet.ts'
import { type ControlNetConfig, conditioningFactor, parseControlNetConfig } from '../models/controlnet-config.ts'
import { skipShapes } from '../models/skip-shapes.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { Engine } from './engine.ts'
import { ParameterError } from './parameter-error.ts'
import { prepareWeights } from './prepare-weights.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

/** A loaded ControlNetModel. Sessions are made for each size when it is first used. */
export class ControlNet implements ControlModel {
  readonly config: ControlNetConfig
  readonly factor: number
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(config: ControlNetConfig, weights: Weights, sessions: SessionCache) {
    this.config = config
    this.factor = conditioningFactor(config)
    this.#weights = weights
    this.#sessions = sessions
  }

  get globalPool(): boolean {
    return this.config.globalPool
  }

  async embed(image: FloatTensor): Promise<FloatTensor> {
    const [height, width] = image.shape.slice(2) as [number, number]
    const session = await this.#sessions.get(this.#weights, `image ${height}x${width}`, () =>
      buildControlImageGraph(this.config, height, width),
    )
    return (await session.run({ image })).embedding as FloatTensor
  }

  async residuals(input: UNetInput, embedding: FloatTensor): Promise<FloatTensor[]> {
    const [batch, , height, width] = input.sample.shape as [number, number, number, number]
    const tokens = input.encoderHiddenStates.shape[1] as number
    const session = await this.#sessions.get(this.#weights, `${batch}x${height}x${width} ${tokens}`, () =>
      buildControlNetGraph(this.config, { batch, height, width, tokens }),
    )
    const hasTextTime = this.config.encoder.textTime !== null
    const results = await session.run({
      sample: input.sample,
      timestep: float32([1], Float32Array.of(input.timestep)),
      encoder_hidden_states: input.encoderHiddenStates,
      ...(hasTextTime && input.textEmbeds && { text_embeds: input.textEmbeds }),
      ...(hasTextTime && input.timeIds && { time_ids: input.timeIds }),
      embedding,
    })
    return session.outputs.map((_, i) => results[residualName(i)] as FloatTensor)
  }
}

export interface LoadControlNetOptions {
  readonly signal?: AbortSignal
}

/**
 * Loads a ControlNet of SD1.5 or SDXL. Config and weight headers are checked now, sessions are made when they are first used.
 * @param component its folder or file, in diffusers' keys
 * @throws CheckpointError, ModelConfigError, SafetensorsError; Union ControlNets and Control-LoRAs are refused by name
 */
export async function loadControlNet(
  engine: Engine,
  component: Component,
  options: LoadControlNetOptions = {},
): Promise<ControlNet> {
  const { tensors } = await component.weights()
  if (tensors.has('lora_controlnet')) {
    throw new CheckpointError(`${component.folder} is a Control-LoRA, which is not supported; take a whole ControlNet`)
  }
  if (tensors.has('task_embedding') || tensors.has('control_add_embedding.linear_1.weight')) {
    throw new CheckpointError(
      `${component.folder} is a Union ControlNet, which is not supported; take the ControlNet for this kind of picture`,
    )
  }
  const config = parseControlNetConfig(await component.config())
  const weights = await prepareWeights(engine, component, smallestControlNetGraphs(config), options)
  return new ControlNet(config, weights, engine.sessions)
}

/** One ControlNet of a request. */
export interface ControlNetParameters {
  readonly model: ControlNet
  /** Edges, a pose, a depth map: resized to the picture's size (Lanczos). */
  readonly image: RgbImage
  /** Of the control picture's size; its red channel says how much the ControlNet counts at each place. */
  readonly mask?: RgbImage
  /** Default 1. */
  readonly conditioningScale?: number
  /** The part of the steps in which it counts, 0 … 1. Default all. */
  readonly startPercentage?: number
  readonly endPercentage?: number
  /** What it attends to in place of the prompt: an image prompt's tokens, for InstantID's IdentityNet. */
  readonly tokens?: ControlTokens
}

export interface ControlNetOptions {
  /** Of the picture that is drawn, pixels. */
  readonly width: number
  readonly height: number
  /** Recognises the control picture's content without a prompt: ControlNets see the conditional half alone. Default false. */
  readonly guessMode?: boolean
}

/**
 * What applies ControlNets to a model's UNet for one request.
 * @throws ParameterError naming `controlnets.<index>.<field>` for one of another family, or a range of steps that is none
 */
export function applyControlNets(
  model: StableDiffusion,
  controlnets: readonly ControlNetParameters[],
  { width, height, guessMode = false }: ControlNetOptions,
): UNetAdapter {
  const controls = controlnets.map((parameters, i): Control => {
    const { startPercentage: start = 0, endPercentage: end = 1, conditioningScale: scale = 1, tokens } = parameters
    requireFamily(model, parameters.model, `controlnets.${i}.path`)
    if (!(start >= 0 && end <= 1 && start < end)) {
      const problem = `must be at least 0 and less than endPercentage, which is at most 1; got ${start} and ${end}`
      throw new ParameterError(`controlnets.${i}.startPercentage`, problem)
    }
    const mask =
      parameters.mask && controlMask(parameters.image, parameters.mask, { width, height }, `controlnets.${i}.mask`)
    return {
      model: parameters.model,
      image: rgbToTensor(resizeRgb(parameters.image, width, height, 'lanczos'), 'unit'),
      scale,
      start,
      end,
      ...(mask && { mask }),
      ...(tokens && { tokens }),
    }
  })
  return new ControlNetAdapter(model.unet.config, controls, guessMode)
}

function requireFamily({ unet, vae }: StableDiffusion, controlnet: ControlNet, parameter: string): void {
  const { encoder } = controlnet.config
  // The number and channels of the residuals, at any size.
  const residuals = (config: typeof encoder) => JSON.stringify(skipShapes(config, 64, 64))
  const own = JSON.stringify(unet.config.textTime)
  const fits =
    residuals(encoder) === residuals(unet.config) &&
    encoder.crossAttentionChannels === unet.config.crossAttentionChannels &&
    (encoder.textTime === null || JSON.stringify(encoder.textTime) === own) &&
    controlnet.factor === vae.factor &&
    controlnet.config.conditioningChannels === 3
  if (fits) return
  throw new ParameterError(
    parameter,
    `is a ControlNet of another family (prompt embeddings of ${encoder.crossAttentionChannels} channels) than the model ` +
      `(${unet.config.crossAttentionChannels}); SD1.5 has 768, SDXL 2048`,
  )
}

function controlMask(
  image: RgbImage,
  mask: RgbImage,
  { width, height }: { readonly width: number; readonly height: number },
  parameter: string,
): FloatTensor {
  if (mask.width !== image.width || mask.height !== image.height) {
    const problem = `must have the control picture's size ${image.width}×${image.height}, got ${mask.width}×${mask.height}`
    throw new ParameterError(parameter, problem)
  }
  const { data } = resizeRgb(mask, width, height, 'lanczos')
  return float32(
    [height, width],
    Float32Array.from({ length: width * height }, (_, i) => (data[i * 3] as number) / 255),
  )
}
