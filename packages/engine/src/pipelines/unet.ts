import type { Adaptable } from '../adapters/lora-match.ts'
import type { UNetAdapter, UNetInput, UNetStep } from '../adapters/unet-adapter.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { buildUNetGraph, type UNetShape } from '../models/unet-2d-condition.ts'
import type { UNetConfig } from '../models/unet-2d-condition-config.ts'
import { composeHooks } from '../models/unet-hooks.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { concatenate, dimensions, expectFloat32, type FloatTensor, float32, type Tensor } from '../tensor/tensor.ts'
import { ParameterError } from './parameter-error.ts'

/** A loaded UNet2DConditionModel. Sessions are made for each size when it is first used. */
export class UNet implements Adaptable {
  readonly config: UNetConfig
  readonly layers: Adaptable['layers']
  readonly parameters: Adaptable['parameters']
  readonly weights: Weights
  readonly #sessions: SessionCache

  constructor(config: UNetConfig, weights: Weights, sessions: SessionCache, { layers, parameters }: Adaptable) {
    this.config = config
    this.layers = layers
    this.parameters = parameters
    this.weights = weights
    this.#sessions = sessions
  }

  /** Width of the guidance-scale embedding; such a UNet needs no second, unconditional evaluation. */
  get timeCondProjDim(): number | undefined {
    return this.config.timeCondProjChannels ?? undefined
  }

  /** The predicted noise (or v), [B, C, h, w]. */
  async predict(input: UNetInput, adapters: readonly UNetAdapter[], step: UNetStep): Promise<FloatTensor> {
    const [batch, , height, width] = dimensions(input.sample.shape, 4)
    const shape = { batch, height, width }
    const samples = [input.sample]
    for (const adapter of adapters) if (adapter.channels) samples.push(await adapter.channels(input, step))
    const sample = concatenate(samples, 1)
    this.#requireChannels(sample)
    const feeds: Record<string, Tensor> = {
      sample,
      timestep: float32([1], Float32Array.of(input.timestep)),
      encoder_hidden_states: input.encoderHiddenStates,
      ...(input.timestepCond && { timestep_cond: input.timestepCond }),
      ...(input.textEmbeds && { text_embeds: input.textEmbeds }),
      ...(input.timeIds && { time_ids: input.timeIds }),
    }
    for (const adapter of adapters) Object.assign(feeds, await adapter.feeds?.(input, step))
    const session = await this.#session(shape, adapters)
    const lasting = adapters.flatMap((adapter) => adapter.lasting ?? [])
    return expectFloat32((await session.run(feeds, lasting[0], step.signal)).noise_pred)
  }

  #requireChannels({ shape: [, channels] }: FloatTensor): void {
    const { inChannels } = this.config
    if (channels === inChannels) return
    const kind = inChannels === 9 ? 'an inpainting model' : 'a model for another task'
    throw new ParameterError('model', `its UNet takes ${inChannels} channels and gets ${channels}: it is ${kind}`)
  }

  #session(shape: UNetShape, adapters: readonly UNetAdapter[]) {
    const { batch, height, width } = shape
    const variant = [`${batch}x${height}x${width}`, ...adapters.map((adapter) => adapter.variant)].join(' ')
    return this.#sessions.get(this.weights, variant, () =>
      buildUNetGraph(this.config, shape, (graph) =>
        composeHooks(adapters.flatMap((adapter) => adapter.extend?.(graph, shape) ?? [])),
      ),
    )
  }
}
