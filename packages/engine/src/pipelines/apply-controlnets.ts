import { type Control, ControlNetAdapter, type ControlTokens } from '../adapters/controlnet-adapter.ts'
import type { UNetAdapter } from '../adapters/unet-adapter.ts'
import { rgbToTensor } from '../image/picture-tensor.ts'
import { resizeRgb } from '../image/resize.ts'
import type { RgbImage } from '../image/rgb-image.ts'
import { skipShapes } from '../models/skip-shapes.ts'
import { defined } from '../tensor/defined.ts'
import { type FloatTensor, float32 } from '../tensor/tensor.ts'
import type { ControlNet } from './controlnet.ts'
import { ParameterError } from './parameter-error.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

/** One ControlNet of a request. */
export interface ControlNetParameters {
  readonly model: ControlNet
  /** Edges, a pose, a depth map: resized (Lanczos) to the picture's size, or what the ControlNet takes for its latents. */
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
    // A ControlNet that was trained beside another autoencoder of the same latents takes another number of pixels for each.
    const pixels = (side: number) => (side / model.vae.factor) * parameters.model.factor
    const size = { width: pixels(width), height: pixels(height) }
    const mask = parameters.mask && controlMask(parameters.image, parameters.mask, size, `controlnets.${i}.mask`)
    return {
      model: parameters.model,
      image: rgbToTensor(resizeRgb(parameters.image, size.width, size.height, 'lanczos'), 'unit'),
      scale,
      start,
      end,
      ...(mask && { mask }),
      ...(tokens && { tokens }),
    }
  })
  return new ControlNetAdapter(model.unet.config, controls, guessMode)
}

function requireFamily({ unet }: StableDiffusion, controlnet: ControlNet, parameter: string): void {
  const { encoder } = controlnet.config
  // The number and channels of the residuals, at any size.
  const residuals = (config: typeof encoder) => JSON.stringify(skipShapes(config, 64, 64))
  const own = JSON.stringify(unet.config.textTime)
  const fits =
    residuals(encoder) === residuals(unet.config) &&
    encoder.crossAttentionChannels === unet.config.crossAttentionChannels &&
    (encoder.textTime === null || JSON.stringify(encoder.textTime) === own) &&
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
    Float32Array.from({ length: width * height }, (_, i) => defined(data[i * 3]) / 255),
  )
}
