import type { SchedulerName } from '../schedulers/from-config.ts'
import type { Scheduler, SchedulerClassName } from '../schedulers/scheduler.ts'
import type { FloatTensor } from '../tensor/tensor.ts'

/** What the UNet is conditioned on for one half of the guidance: embeddings of one prompt. */
export interface PromptConditioning {
  /** [1, tokens, cross_attention_dim] */
  readonly embeds: FloatTensor
  /** Pooled embedding of the second text encoder, [1, projection_dim]; SDXL alone has one. */
  readonly pooledEmbeds?: FloatTensor
}

/** Inputs of one UNet evaluation; the batch is 2 under classifier-free guidance, the unconditional half first. */
export interface UNetInput {
  /** [B, C, h, w], already scaled for the scheduler. */
  readonly sample: FloatTensor
  readonly timestep: number
  /** [B, tokens, cross_attention_dim] */
  readonly encoderHiddenStates: FloatTensor
  /** [B, projection_dim], SDXL. */
  readonly textEmbeds?: FloatTensor
  /** [B, 6]: original height and width, crop top and left, target height and width in pixels; SDXL. */
  readonly timeIds?: FloatTensor
  /** [B, time_cond_proj_dim]: the guidance scale's embedding, for UNets distilled with one. */
  readonly timestepCond?: FloatTensor
}

export interface UNet {
  readonly inChannels: number
  /** Width of the guidance-scale embedding; such a UNet needs no second, unconditional evaluation. */
  readonly timeCondProjDim: number | undefined
  /** The predicted noise (or v), [B, C, h, w]. */
  predict(input: UNetInput): Promise<FloatTensor>
}

export interface Autoencoder {
  readonly latentChannels: number
  /** Picture pixels per latent pixel along one side. */
  readonly factor: number
  /** Scaled latents [1, C, h, w] → picture [1, 3, H, W], about −1 … 1, not clamped. */
  decode(latents: FloatTensor): Promise<FloatTensor>
  /** @throws OutOfMemoryError when pictures of this size (pixels) can never be decoded here */
  requireDecodable(size: { readonly width: number; readonly height: number }): void
  /** Picture [1, 3, H, W] in −1 … 1 → posterior moments [1, C, h, w], unscaled; logvar clamped to [−30, 20]. */
  encode(image: FloatTensor): Promise<{ readonly mean: FloatTensor; readonly logvar: FloatTensor }>
  /** A sample of the posterior at the scale of the UNet's latents. */
  scale(sample: FloatTensor): FloatTensor
}

/** A loaded checkpoint of the Stable Diffusion family (SD 1.x or SDXL), ready to draw. */
export interface StableDiffusion {
  readonly kind: 'stable-diffusion' | 'stable-diffusion-xl'
  /** Where it was loaded from. */
  readonly folder: string
  /** Pixels it was trained to draw. */
  readonly defaultSize: { readonly width: number; readonly height: number }
  readonly unet: UNet
  readonly vae: Autoencoder
  /** SDXL's `force_zeros_for_empty_prompt`: an absent negative prompt is zeros, not an encoded empty string. */
  readonly zerosForAbsentPrompt: boolean
  /** @param clipSkip hidden layers left out at the end; 0 for none */
  encodePrompt(prompt: string, clipSkip: number): Promise<PromptConditioning>
  /** A fresh scheduler: the checkpoint's own, or the named one built from the checkpoint's scheduler config. */
  createScheduler(choice: SchedulerChoice): Scheduler
}

export interface SchedulerChoice {
  /** fal's name (`DPM++ 2M Karras`) or diffusers' class name; absent: the checkpoint's own. */
  readonly name?: SchedulerName | SchedulerClassName
  /** Overrides of the checkpoint's scheduler config, e.g. `prediction_type`. */
  readonly overrides?: Readonly<Record<string, unknown>>
}
