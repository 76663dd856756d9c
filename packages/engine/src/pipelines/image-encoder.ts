import type { Component } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { Weights } from '../checkpoint/prepared-weights.ts'
import { clipPixelValuesOptions, pixelValues } from '../image/pixel-values.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { buildImageEncoderGraph, CLIP_VISION_RENAMES } from '../models/clip-vision.ts'
import { type ClipVisionConfig, parseClipVisionConfig } from '../models/clip-vision-config.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { concatenate, expectFloat32, type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { Engine } from './engine.ts'
import { type PrepareWeightsOptions, prepareWeights } from './prepare-weights.ts'

/** What image prompts are made of: the projected class token, or all tokens one layer before the last. */
export type ImageFeatures = 'image_embeds' | 'hidden_states.-2'

/** A loaded CLIPVisionModelWithProjection. */
export class ImageEncoder {
  readonly config: ClipVisionConfig
  readonly #weights: Weights
  readonly #sessions: SessionCache

  constructor(config: ClipVisionConfig, weights: Weights, sessions: SessionCache) {
    this.config = config
    this.#weights = weights
    this.#sessions = sessions
  }

  /** Pictures of any size → [N, projectionSize], or [N, tokens, hiddenSize]; resampled and cropped as CLIPImageProcessor does. */
  async encode(images: readonly RgbImage[], features: ImageFeatures): Promise<FloatTensor> {
    const options = clipPixelValuesOptions(this.config.imageSize)
    const encoded: FloatTensor[] = []
    for (const image of images) encoded.push(await this.#run(pixelValues(image, options), features))
    return concatenate(encoded)
  }

  /** The features of pixel values that are all zero, which diffusers takes for "no picture": mid-grey, not black. */
  encodeNothing(features: ImageFeatures): Promise<FloatTensor> {
    const { imageSize } = this.config
    return this.#run(float32([1, 3, imageSize, imageSize]), features)
  }

  async #run(pixels: FloatTensor, features: ImageFeatures): Promise<FloatTensor> {
    const session = await this.#sessions.get(this.#weights, features, () =>
      buildImageEncoderGraph(this.config, { batch: 1, outputs: [features] }),
    )
    return expectFloat32((await session.run({ pixel_values: pixels }))[features])
  }
}

/**
 * Loads the image encoder of an IP-Adapter. Config and weight headers are checked now, sessions are made when they are first used.
 * @param component its folder, with a config.json and the weights of a CLIPVisionModelWithProjection
 * @throws CheckpointError, ModelConfigError, SafetensorsError
 */
export async function loadImageEncoder(
  engine: Engine,
  component: Component,
  options: Pick<PrepareWeightsOptions, 'signal'> = {},
): Promise<ImageEncoder> {
  const config = parseClipVisionConfig(await component.config())
  if (config.layers < 2)
    throw new CheckpointError(`${component.source} is no image encoder: it has ${config.layers} layers`)
  const graph = buildImageEncoderGraph(config, { batch: 1, outputs: ['image_embeds'] })
  const weights = await prepareWeights(engine, component, [graph], { ...options, renames: CLIP_VISION_RENAMES })
  return new ImageEncoder(config, weights, engine.sessions)
}
