import { ParameterError } from '@darkroom/engine'
import { fieldError } from '../errors/errors.ts'
import { problemOf, snakeCase, toWireError } from './engine-errors.ts'

/** Fields of the adapters' objects by the engine's name for what they set, where the two are not the same word. */
const FIELDS: Readonly<Record<string, string>> = {
  image: 'image_url',
  mask: 'mask_url',
  images: 'ip_adapter_image_url',
  masks: 'ip_adapter_mask_url',
  faceEmbeddings: 'ip_adapter_image_url',
  scaleByBlock: 'scale_json',
  projectionShortcut: 'image_projection_shortcut',
  unconditionalNoise: 'unconditional_noising_factor',
  encoder: 'image_encoder_path',
  ic_light: 'ic_light_model_url',
  ic_light_background: 'ic_light_model_background_image_url',
}

/**
 * An error of applying adapters as fal answers it: the engine names a parameter by its path, `controlnets.0.startPercentage`, and the
 * answer names the field, `["body", "controlnets", 0, "start_percentage"]`.
 */
export function adapterFieldError(error: unknown): unknown {
  if (!(error instanceof ParameterError)) return toWireError(error)
  const path = (error.parameter ?? '').split('.').map((part) => {
    if (/^\d+$/.test(part)) return Number(part)
    return FIELDS[part] ?? snakeCase(part)
  })
  return fieldError(path, 'value_error', problemOf(error, FIELDS))
}
