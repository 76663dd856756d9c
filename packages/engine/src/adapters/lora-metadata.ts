import { CheckpointError } from '../checkpoint/checkpoint-error.ts'
import type { LoraComponent } from './lora-keys.ts'

/** Metadata entry in which diffusers saves the training's peft configuration, JSON with `<component>.<option>` keys. */
const METADATA_KEY = 'lora_adapter_metadata'

/**
 * The factor on up · down of a module that has no alpha of its own: lora_alpha (or the module's entry in alpha_pattern) over the
 * rank, or over its root when rank-stabilised; 1 without a configuration.
 * @throws CheckpointError when the configuration is not JSON
 */
export function scaleFromMetadata(
  metadata: Readonly<Record<string, string>>,
  component: LoraComponent,
  module: string,
  rank: number,
): number {
  const text = metadata[METADATA_KEY]
  if (text === undefined) return 1
  const config = parse(text)
  const pattern = config[`${component}.alpha_pattern`]
  const own = Object.entries(typeof pattern === 'object' && pattern !== null ? pattern : {}).find(
    ([name]) => module === name || module.endsWith(`.${name}`),
  )
  const alpha: unknown = own ? own[1] : config[`${component}.lora_alpha`]
  if (typeof alpha !== 'number') return 1
  return alpha / (config[`${component}.use_rslora`] === true ? Math.sqrt(rank) : rank)
}

function parse(text: string): Record<string, unknown> {
  try {
    const config: unknown = JSON.parse(text)
    if (typeof config === 'object' && config !== null) return config as Record<string, unknown>
  } catch (cause) {
    throw new CheckpointError(`the LoRA's ${METADATA_KEY} is not JSON`, { cause })
  }
  throw new CheckpointError(`the LoRA's ${METADATA_KEY} must be a JSON object`)
}
