/** How LoRA files name what they hold: a prefix says whose weights, a suffix which part of a change, and between them stands the module. */

/** Whose weights a LoRA module changes, in a checkpoint's component names. */
export type LoraComponent = 'unet' | 'text_encoder' | 'text_encoder_2'

/** The conventions that keys follow; `kohya-sgm` are kohya's names with the original layout's modules (SDXL). */
export type LoraDialect = 'peft' | 'diffusers' | 'attention-processor' | 'kohya' | 'kohya-sgm' | 'lycoris'

/** One tensor's part in the change of a module's weight or bias. */
export type LoraPart =
  | 'down'
  | 'up'
  | 'mid'
  | 'upBias'
  | 'alpha'
  | 'doraScale'
  | 'magnitude'
  | 'hada_w1_a'
  | 'hada_w1_b'
  | 'hada_t1'
  | 'hada_w2_a'
  | 'hada_w2_b'
  | 'hada_t2'
  | 'lokr_w1'
  | 'lokr_w1_a'
  | 'lokr_w1_b'
  | 'lokr_t1'
  | 'lokr_w2'
  | 'lokr_w2_a'
  | 'lokr_w2_b'
  | 'lokr_t2'
  | 'diff'
  | 'diff_b'
  | 'w_norm'
  | 'b_norm'

/** A key of a LoRA file, taken apart. */
export interface LoraKey {
  readonly component: LoraComponent
  /** The module's path in the component, or that with `_` for each dot, in diffusers' or the original layout's names. */
  readonly module: string
  readonly part: LoraPart
  readonly dialect: LoraDialect
}

type Prefix = readonly [prefix: string, component: LoraComponent, dialect: LoraDialect]

/** Longer ones first where one begins with another. */
const PREFIXES: readonly Prefix[] = [
  ['lora_unet_', 'unet', 'kohya'],
  ['lora_te1_', 'text_encoder', 'kohya'],
  ['lora_te2_', 'text_encoder_2', 'kohya'],
  ['lora_te_', 'text_encoder', 'kohya'],
  ['lycoris_unet_', 'unet', 'lycoris'],
  ['lycoris_te1_', 'text_encoder', 'lycoris'],
  ['lycoris_te2_', 'text_encoder_2', 'lycoris'],
  ['lycoris_te_', 'text_encoder', 'lycoris'],
  ['lycoris_text_model_', 'text_encoder', 'lycoris'],
  ['lycoris_', 'unet', 'lycoris'],
  ['text_encoder_2.', 'text_encoder_2', 'diffusers'],
  ['text_encoder.', 'text_encoder', 'diffusers'],
  ['unet.', 'unet', 'diffusers'],
  ['diffusion_model.', 'unet', 'diffusers'],
  ['model.diffusion_model.', 'unet', 'diffusers'],
]

/** Files of one model alone have no prefix; these module names say which. */
const BARE_MODULES: readonly (readonly [start: RegExp, component: LoraComponent])[] = [
  [/^(?:down_blocks|mid_block|up_blocks|conv_in|conv_out|conv_norm_out|time_embedding|add_embedding)\b/, 'unet'],
  [/^text_model\./, 'text_encoder'],
]

/** peft saves a model under these names of its wrapper. */
const PEFT_WRAPPER = 'base_model.model.'

type Suffix = readonly [suffix: string, part: LoraPart, dialect?: LoraDialect]

const LYCORIS_PARTS = [
  'hada_w1_a',
  'hada_w1_b',
  'hada_t1',
  'hada_w2_a',
  'hada_w2_b',
  'hada_t2',
  'lokr_w1',
  'lokr_w1_a',
  'lokr_w1_b',
  'lokr_t1',
  'lokr_w2',
  'lokr_w2_a',
  'lokr_w2_b',
  'lokr_t2',
  'diff',
  'diff_b',
  'w_norm',
  'b_norm',
] as const

const SUFFIXES: readonly Suffix[] = [
  ['.lora_down.weight', 'down'],
  ['.lora_up.weight', 'up'],
  ['.lora_mid.weight', 'mid'],
  ['.lora_up.bias', 'upBias'],
  ['.lora_A.weight', 'down', 'peft'],
  ['.lora_B.weight', 'up', 'peft'],
  ['.lora_A.default.weight', 'down', 'peft'],
  ['.lora_B.default.weight', 'up', 'peft'],
  ['.lora_B.bias', 'upBias', 'peft'],
  ['.lora.down.weight', 'down'],
  ['.lora.up.weight', 'up'],
  ['.lora_linear_layer.down.weight', 'down'],
  ['.lora_linear_layer.up.weight', 'up'],
  ['_lora.down.weight', 'down', 'attention-processor'],
  ['_lora.up.weight', 'up', 'attention-processor'],
  ['_lora.alpha', 'alpha', 'attention-processor'],
  ['.alpha', 'alpha'],
  ['.dora_scale', 'doraScale'],
  ['.lora_magnitude_vector', 'magnitude', 'peft'],
  ['.lora_magnitude_vector.weight', 'magnitude', 'peft'],
  ['.lora_magnitude_vector.default.weight', 'magnitude', 'peft'],
  ...LYCORIS_PARTS.map((part): Suffix => [`.${part}`, part]),
]

/** Methods of other papers, by what their keys end with: named so that a user knows what the file is. */
const OTHER_METHODS: readonly (readonly [end: RegExp, method: string])[] = [
  [/\.(?:oft_blocks|oft_diag|oft_r|rescale)(?:\.weight)?$/, 'OFT or BOFT'],
  [/\.(?:a1|a2|b1|b2)\.weight$/, 'GLoRA'],
  [/\.on_input$/, 'IA3'],
  [/\.lora_embedding_[AB]$/, 'a factor of an embedding table'],
  [/^bundle_emb\./, 'an embedding bundled with the LoRA'],
]

/** Modules of the original layout, which kohya's SDXL files name. */
const ORIGINAL_MODULE = /^(?:input_blocks|middle_block|output_blocks|time_embed_|label_emb|out_2)/

/** Takes a key apart; undefined for what belongs to no LoRA that is known here. */
export function parseLoraKey(key: string): LoraKey | undefined {
  const suffix = SUFFIXES.find(([text]) => key.endsWith(text))
  if (!suffix) return undefined
  const bare = withoutWrapper(key.slice(0, -suffix[0].length))
  const prefix = PREFIXES.find(([text]) => bare.startsWith(text))
  const module = withoutWrapper(prefix ? bare.slice(prefix[0].length) : bare)
  const component = prefix?.[1] ?? BARE_MODULES.find(([start]) => start.test(module))?.[1]
  if (component === undefined) return undefined
  // `lycoris_text_model_…` says the component by the module's own first words.
  const name = prefix?.[0] === 'lycoris_text_model_' ? `text_model_${module}` : module
  const [, part, ownDialect] = suffix
  const dialect = ownDialect ?? prefix?.[2] ?? 'diffusers'
  return {
    component,
    module: name.replace('.processor.', '.'),
    part,
    dialect: dialect === 'kohya' && ORIGINAL_MODULE.test(name) ? 'kohya-sgm' : dialect,
  }
}

/** Why `parseLoraKey` makes nothing of a key, for people. */
export function describeUnknownKey(key: string): string {
  const method = OTHER_METHODS.find(([end]) => end.test(key))?.[1]
  return method === undefined ? 'no LoRA has such a key' : `${method} is not supported`
}

function withoutWrapper(text: string): string {
  return text.startsWith(PEFT_WRAPPER) ? text.slice(PEFT_WRAPPER.length) : text
}
