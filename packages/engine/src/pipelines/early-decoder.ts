import { findOwnComponent } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { buildEarlyHeadGraph, type EarlyHeadConfig, earlyFactor, parseEarlyHeadConfig } from '../models/early-head.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { dimensions, expectFloat32, type FloatTensor } from '../tensor/tensor.ts'
import type { Autoencoder } from './autoencoder.ts'
import type { Engine } from './engine.ts'
import { prepareWeights } from './prepare-weights.ts'

/** Folder of a checkpoint that holds it; diffusers has no place for one. */
const FOLDER = 'early_decoder'

/** The first levels of an autoencoder's decoder and a short way from there to a picture. Sessions are made for each size when it is first used. */
export class EarlyDecoder {
  readonly #vae: Autoencoder
  readonly #config: EarlyHeadConfig
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(vae: Autoencoder, config: EarlyHeadConfig, weights: Weights, sessions: SessionCache) {
    this.#vae = vae
    this.#config = config
    this.#weights = weights
    this.#sessions = sessions
  }

  /** Scaled latents [B, C, h, w] → pictures [B, 3, H, W], about −1 … 1, not clamped. */
  async decode(latents: FloatTensor, signal?: AbortSignal): Promise<FloatTensor> {
    const features = await this.#vae.decoderFeatures(latents, this.#config.level, signal)
    const shape = dimensions(features.shape, 4)
    const session = await this.#sessions.get(this.#weights, `early ${shape.join('x')}`, () =>
      buildEarlyHeadGraph(this.#config, { shape, normGroups: this.#vae.config.normGroups }),
    )
    return expectFloat32((await session.run({ features }, undefined, signal)).image)
  }
}

/**
 * The early decoder that lies in a checkpoint's folder, or undefined.
 * @throws CheckpointError for one that does not fit the checkpoint's autoencoder
 */
export async function loadEarlyDecoder(
  engine: Engine,
  checkpoint: string,
  vae: Autoencoder,
): Promise<EarlyDecoder | undefined> {
  const component = await findOwnComponent(checkpoint, FOLDER)
  if (component === undefined) return undefined
  const config = parseEarlyHeadConfig(await component.config())
  const { blockOutChannels, normGroups } = vae.config
  const channels = blockOutChannels.at(-1 - config.level)
  if (channels === undefined || earlyFactor(config) !== vae.factor) {
    throw new CheckpointError(
      `${FOLDER} makes ${earlyFactor(config)} pixels of a latent pixel, its checkpoint's autoencoder ${vae.factor}`,
      { path: component.folder },
    )
  }
  const smallest = buildEarlyHeadGraph(config, { shape: [1, channels, 1, 1], normGroups })
  return new EarlyDecoder(vae, config, await prepareWeights(engine, component, [smallest]), engine.sessions)
}
