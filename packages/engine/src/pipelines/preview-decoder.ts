import { findOwnComponent } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import {
  buildTinyDecoderGraph,
  parseTinyDecoderConfig,
  type TinyDecoderConfig,
  tinyFactor,
} from '../models/autoencoder-tiny.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { dimensions, expectFloat32, type FloatTensor } from '../tensor/tensor.ts'
import type { Autoencoder } from './autoencoder.ts'
import type { Engine } from './engine.ts'
import { prepareWeights } from './prepare-weights.ts'

/** The folder of a checkpoint that a decoder for previews is looked for in, in diffusers' layout. */
const FOLDER = 'preview_decoder'

/** An encoder's tensors, which may lie beside the decoder's. */
const ENCODER_KEYS = /^encoder\./

/** A small decoder (TAESD's kind) that stands in for the autoencoder's where a picture is only to be looked at while it is drawn. */
export class PreviewDecoder {
  readonly #config: TinyDecoderConfig
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(config: TinyDecoderConfig, weights: Weights, sessions: SessionCache) {
    this.#config = config
    this.#weights = weights
    this.#sessions = sessions
  }

  /** Scaled latents [B, C, h, w] → pictures [B, 3, H, W], about −1 … 1, not clamped. */
  async decode(latents: FloatTensor, signal?: AbortSignal): Promise<FloatTensor> {
    const [batch, , h, w] = dimensions(latents.shape, 4)
    const factor = tinyFactor(this.#config)
    const size = { batch, height: h * factor, width: w * factor }
    const session = await this.#sessions.get(this.#weights, `${batch}x${size.height}x${size.width}`, () =>
      buildTinyDecoderGraph(this.#config, size),
    )
    return expectFloat32((await session.run({ latents }, undefined, signal)).image)
  }
}

/**
 * The decoder for previews of a checkpoint, where its folder has one.
 * @param vae whose latents it decodes
 * @throws CheckpointError when it decodes latents of another kind; ModelConfigError
 */
export async function loadPreviewDecoder(
  engine: Engine,
  checkpoint: string,
  vae: Autoencoder,
): Promise<PreviewDecoder | undefined> {
  const component = await findOwnComponent(checkpoint, FOLDER)
  if (component === undefined) return undefined
  const config = parseTinyDecoderConfig(await component.config())
  if (config.latentChannels !== vae.latentChannels || tinyFactor(config) !== vae.factor) {
    throw new CheckpointError(
      `the decoder for previews draws ${tinyFactor(config)} pixels of ${config.latentChannels} channels, the autoencoder beside it ${vae.factor} of ${vae.latentChannels}: they do not belong together`,
      { path: component.folder },
    )
  }
  const smallest = buildTinyDecoderGraph(config, { batch: 1, height: vae.factor, width: vae.factor })
  const weights = await prepareWeights(engine, component, [smallest], { ignoredKeys: ENCODER_KEYS })
  return new PreviewDecoder(config, weights, engine.sessions)
}
