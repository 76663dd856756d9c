import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { SchedulerName } from '../schedulers/from-config.ts'
import type { Scheduler, SchedulerClassName } from '../schedulers/scheduler.ts'
import type { Autoencoder } from './autoencoder.ts'
import type { EarlyDecoder } from './early-decoder.ts'
import type { PreviewDecoder } from './preview-decoder.ts'
import type { TextEncoders } from './text-encoders.ts'
import type { UNet } from './unet.ts'

/** A loaded checkpoint of the Stable Diffusion family (SD 1.x or SDXL), ready to draw. */
export interface StableDiffusion {
  readonly kind: 'stable-diffusion' | 'stable-diffusion-xl'
  /** Where it was loaded from. */
  readonly folder: string
  /** Pixels it was trained to draw. */
  readonly defaultSize: { readonly width: number; readonly height: number }
  readonly unet: UNet
  readonly vae: Autoencoder
  /** Decodes, faster and less exactly than the autoencoder, what is only looked at; absent where the checkpoint brings nothing that does. */
  readonly previewDecoder?: PreviewDecoder | EarlyDecoder
  readonly textEncoders: TextEncoders
  /** SDXL's `force_zeros_for_empty_prompt`: an absent negative prompt is zeros, not an encoded empty string. */
  readonly zerosForAbsentPrompt: boolean
  /** Its weights, those that a picture needs first before the others: to be read ahead. */
  readonly weights: readonly Weights[]
  /** A fresh scheduler: the checkpoint's own, or the named one built from the checkpoint's scheduler config. */
  createScheduler(choice: SchedulerChoice): Scheduler
}

export interface SchedulerChoice {
  /** fal's name (`DPM++ 2M Karras`) or diffusers' class name; absent: the checkpoint's own. */
  readonly name?: SchedulerName | SchedulerClassName
  /** Overrides of the checkpoint's scheduler config, e.g. `prediction_type`. */
  readonly overrides?: Readonly<Record<string, unknown>>
}
