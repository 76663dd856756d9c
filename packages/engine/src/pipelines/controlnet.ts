import type { ControlModel } from '../adapters/controlnet-adapter.ts'
import type { UNetInput } from '../adapters/unet-adapter.ts'
import type { Component } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { type ControlNetConfig, conditioningFactor, parseControlNetConfig } from '../models/controlnet-config.ts'
import {
  buildControlImageGraph,
  buildControlNetGraph,
  residualName,
  smallestControlNetGraphs,
} from '../models/controlnet-model.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { dimensions, expectFloat32, type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { Engine } from './engine.ts'
import { prepareWeights } from './prepare-weights.ts'
import { requireFinite } from './require-finite.ts'

/** A loaded ControlNetModel. Sessions are made for each size when it is first used. */
export class ControlNet implements ControlModel {
  /** What messages call it. */
  readonly source: string
  readonly config: ControlNetConfig
  readonly factor: number
  readonly #weights: Weights
  /** Of the graphs: a request may give weights another config than lies beside them. */
  readonly #form: string
  readonly #sessions: SessionCache
  #isSound = false

  constructor(source: string, config: ControlNetConfig, weights: Weights, sessions: SessionCache) {
    this.source = source
    this.config = config
    this.factor = conditioningFactor(config)
    this.#weights = weights
    this.#form = JSON.stringify(config)
    this.#sessions = sessions
  }

  get globalPool(): boolean {
    return this.config.globalPool
  }

  async embed(image: FloatTensor): Promise<FloatTensor> {
    const [height, width] = dimensions(image.shape.slice(2), 2)
    const session = await this.#sessions.get(this.#weights, `image ${height}x${width} ${this.#form}`, () =>
      buildControlImageGraph(this.config, height, width),
    )
    return expectFloat32((await session.run({ image })).embedding)
  }

  async residuals(input: UNetInput, embedding: FloatTensor): Promise<FloatTensor[]> {
    const [batch, , height, width] = dimensions(input.sample.shape, 4)
    const session = await this.#sessions.get(this.#weights, `${batch}x${height}x${width} ${this.#form}`, () =>
      buildControlNetGraph(this.config, { batch, height, width }),
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
    const residuals = session.outputs.map((_, i) => expectFloat32(results[residualName(i)]))
    if (!this.#isSound) requireFinite(residuals, this.source)
    this.#isSound = true
    return residuals
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
    throw new CheckpointError(`${component.source} is a Control-LoRA, which is not supported; take a whole ControlNet`)
  }
  if (tensors.has('task_embedding') || tensors.has('control_add_embedding.linear_1.weight')) {
    throw new CheckpointError(
      `${component.source} is a Union ControlNet, which is not supported; take the ControlNet for this kind of picture`,
    )
  }
  const config = parseControlNetConfig(await component.config())
  const weights = await prepareWeights(engine, component, smallestControlNetGraphs(config), options)
  return new ControlNet(component.source, config, weights, engine.sessions)
}
