/** What weights are for, as endpoints ask for them. */
export const WEIGHTS_KINDS = [
  'base',
  'unet',
  'vae',
  'lora',
  'embedding',
  'controlnet',
  'ip-adapter',
  'image-encoder',
  'ic-light',
  'safety-checker',
  'detector',
  'prompt-expander',
] as const

export type WeightsKind = (typeof WEIGHTS_KINDS)[number]

/** How a kind is called in sentences. */
export const KIND_NAMES: Readonly<Record<WeightsKind, string>> = {
  base: 'a base model',
  unet: 'a UNet',
  vae: 'an autoencoder',
  lora: 'a LoRA',
  embedding: 'a textual inversion embedding',
  controlnet: 'a ControlNet',
  'ip-adapter': 'an IP-Adapter',
  'image-encoder': 'an image encoder',
  'ic-light': 'an IC-Light model',
  'safety-checker': 'a safety checker',
  detector: 'a detector',
  'prompt-expander': 'a prompt expander',
}

/** What a whole picture is drawn with; large, and fetched for requests only where the operator lets them. */
const BASE_KINDS: readonly WeightsKind[] = ['base', 'unet', 'vae']

export function isBaseKind(kind: WeightsKind): boolean {
  return BASE_KINDS.includes(kind)
}

/** Folders in which repositories keep a component, besides their root. */
export const COMPONENT_FOLDERS: Readonly<Partial<Record<WeightsKind, readonly string[]>>> = {
  unet: ['', 'unet'],
  vae: ['', 'vae'],
  controlnet: ['', 'controlnet'],
  'image-encoder': ['', 'image_encoder', 'models/image_encoder'],
  'safety-checker': ['', 'safety_checker'],
  'prompt-expander': [''],
}
