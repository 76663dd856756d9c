import type { Weights } from '../checkpoint/prepared-weights.ts'
import {
  buildDecoderFeaturesGraph,
  buildDecoderGraph,
  buildEncoderGraph,
  scaleLatents,
} from '../models/autoencoder-kl.ts'
import { type AutoencoderConfig, spatialFactor } from '../models/autoencoder-kl-config.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { dimensions, expectFloat32, type FloatTensor, map } from '../tensor/tensor.ts'

/** What an encoder says of a picture: a normal distribution for each latent value, unscaled, both [1, C, h, w]. */
export interface Posterior {
  readonly mean: FloatTensor
  /** Clamped to [−30, 20]. */
  readonly logvar: FloatTensor
}

/** A loaded AutoencoderKL. Sessions are made for each size when it is first used. */
export class Autoencoder {
  readonly config: AutoencoderConfig
  /** Picture pixels per latent pixel along one side. */
  readonly factor: number
  readonly weights: Weights
  readonly #sessions: SessionCache

  constructor(config: AutoencoderConfig, weights: Weights, sessions: SessionCache) {
    this.config = config
    this.factor = spatialFactor(config)
    this.weights = weights
    this.#sessions = sessions
  }

  get latentChannels(): number {
    return this.config.latentChannels
  }

  /** @throws OutOfMemoryError when pictures of this size (pixels) can never be decoded here */
  requireDecodable(size: { readonly width: number; readonly height: number }): void {
    this.#sessions.requireFits(buildDecoderGraph(this.config, { batch: 1, ...size }))
  }

  /** Scaled latents [B, C, h, w] → pictures [B, 3, H, W], about −1 … 1, not clamped. */
  async decode(latents: FloatTensor, signal?: AbortSignal): Promise<FloatTensor> {
    const [batch, , h, w] = dimensions(latents.shape, 4)
    const size = { batch, height: h * this.factor, width: w * this.factor }
    const session = await this.#sessions.get(this.weights, `decoder ${batch}x${size.height}x${size.width}`, () =>
      buildDecoderGraph(this.config, size),
    )
    return expectFloat32((await session.run({ latents }, undefined, signal)).image)
  }

  /** Scaled latents [B, C, h, w] → what the decoder has after the resnets of a level, 0 the deepest. */
  async decoderFeatures(latents: FloatTensor, level: number, signal?: AbortSignal): Promise<FloatTensor> {
    const [batch, , h, w] = dimensions(latents.shape, 4)
    const size = { batch, height: h * this.factor, width: w * this.factor }
    const key = `decoder to level ${level} ${batch}x${size.height}x${size.width}`
    const session = await this.#sessions.get(this.weights, key, () =>
      buildDecoderFeaturesGraph(this.config, size, level),
    )
    return expectFloat32((await session.run({ latents }, undefined, signal)).features)
  }

  /** Picture [1, 3, H, W] in −1 … 1 → its posterior. */
  async encode(image: FloatTensor): Promise<Posterior> {
    const [batch, , height, width] = dimensions(image.shape, 4)
    const session = await this.#sessions.get(this.weights, `encoder ${batch}x${height}x${width}`, () =>
      buildEncoderGraph(this.config, { batch, height, width }),
    )
    const { mean, logvar } = await session.run({ image })
    return { mean: expectFloat32(mean), logvar: expectFloat32(logvar) }
  }

  /** Latents of a posterior at the scale of the UNet's. */
  scale(latents: FloatTensor): FloatTensor {
    return scaleLatents(this.config, latents)
  }

  /** A scaled sample of a posterior: mean + exp(½ logvar) · noise, rounded as DiagonalGaussianDistribution.sample. */
  sample({ mean, logvar }: Posterior, noise: FloatTensor): FloatTensor {
    const { fround, exp } = Math
    return this.scale(map((m, v, z) => m + fround(fround(exp(fround(0.5 * v))) * z), mean, logvar, noise))
  }
}
