import type { UNetExtension } from '../models/unet-2d-condition.ts'
import type { LastingFeeds } from '../tensor/lasting-feeds.ts'
import type { FloatTensor, Tensor } from '../tensor/tensor.ts'
import type { MapWindow } from '../tensor/window.ts'

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

/** Where an evaluation stands in the denoising of a picture. */
export interface UNetStep {
  /** 0-based, counted from the first step that is run. */
  readonly step: number
  readonly steps: number
  /** Size of the picture's latents. */
  readonly latentSize: { readonly height: number; readonly width: number }
  /** The part of the latents that `sample` is, in latent pixels; all of them without tiling. */
  readonly window: MapWindow
  /** Ends the evaluation where the back end can. */
  readonly signal?: AbortSignal
}

/**
 * Something that is applied to a UNet for one request and taken off again: a set of LoRAs, of ControlNets, of image prompts. It
 * adds inputs and branches to the graph and feeds them at each evaluation; its own weights never enter the UNet's session, so that
 * requests with other adapters of the same kind run in the same session.
 */
export interface UNetAdapter {
  /** Tells the graphs that it extends apart: kinds and sizes of what it adds, not values. */
  readonly variant: string
  readonly extend?: UNetExtension
  /** Further channels of the sample, [B, C', h, w], for UNets whose first convolution takes them. */
  channels?(input: UNetInput, step: UNetStep): FloatTensor | Promise<FloatTensor>
  /** Values of the inputs that `extend` declared. `input` is as the UNet gets it, without `channels`. */
  feeds?(input: UNetInput, step: UNetStep): Readonly<Record<string, Tensor>> | Promise<Readonly<Record<string, Tensor>>>
  /** Values of such inputs that are the same at every evaluation; one adapter of a request may have them. */
  readonly lasting?: LastingFeeds
}
