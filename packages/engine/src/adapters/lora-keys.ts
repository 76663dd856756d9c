/** Whose weights a LoRA module changes, in a checkpoint's component names. */
export type LoraComponent = 'unet' | 'text_encoder' | 'text_encoder_2'

export type LoraPart = 'down' | 'up' | 'alpha'

/** A key of a LoRA file, taken apart. */
export interface LoraKey {
  readonly component: LoraComponent
  /** Path of the module within the component; kohya's keys have `_` where the path has dots, and underscores stay underscores. */
  readonly module: string
  readonly part: LoraPart
}

const PREFIXES: readonly (readonly [prefix: string, component: LoraComponent])[] = [
  ['lora_unet_', 'unet'],
  ['lora_te1_', 'text_encoder'],
  ['lora_te2_', 'text_encoder_2'],
  ['lora_te_', 'text_encoder'],
  ['unet.', 'unet'],
  ['text_encoder_2.', 'text_encoder_2'],
  ['text_encoder.', 'text_encoder'],
]

const SUFFIXES: readonly (readonly [suffix: string, part: LoraPart])[] = [
  ['.lora_down.weight', 'down'],
  ['.lora_up.weight', 'up'],
  ['.lora_A.weight', 'down'],
  ['.lora_B.weight', 'up'],
  ['.lora.down.weight', 'down'],
  ['.lora.up.weight', 'up'],
  ['.alpha', 'alpha'],
]

/** kohya's (`lora_unet_…lora_down`), peft's (`unet.…lora_A`) and diffusers' older (`unet.…lora.down`) keys; undefined for all others. */
export function parseLoraKey(key: string): LoraKey | undefined {
  const prefix = PREFIXES.find(([text]) => key.startsWith(text))
  const suffix = SUFFIXES.find(([text]) => key.endsWith(text))
  if (!prefix || !suffix) return undefined
  const module = key.slice(prefix[0].length, -suffix[0].length).replace(/^base_model\.model\./, '')
  return { component: prefix[1], module, part: suffix[1] }
}

/**
 * Module paths by the names a LoRA may give them: the path itself and, as kohya writes it, with `_` for each dot. Looking whole
 * names up needs no guess where `_` was a dot.
 * @param weightKeys keys of the component's checkpoint
 */
export function modulesByName(weightKeys: Iterable<string>): Map<string, string> {
  const modules = new Map<string, string>()
  for (const key of weightKeys) {
    if (!key.endsWith('.weight')) continue
    const path = key.slice(0, -'.weight'.length)
    modules.set(path, path)
    modules.set(path.replaceAll('.', '_'), path)
  }
  return modules
}
