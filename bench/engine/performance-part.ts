import type { FastForm } from '../../packages/engine/src/runtime/fast-form.ts'

/** What is measured in one process. */
export interface Measurement {
  readonly checkpoint: string
  readonly part: 'unet' | 'vae' | 'picture'
  /** Sides of the picture in pixels. */
  readonly size: number
  readonly threads: number
  /** Of a network, and of pictures after the first; one run before is not counted. */
  readonly runs: number
  /** Of an LCM picture. */
  readonly steps: number
  /** Of the pictures, in turn. */
  readonly prompts: readonly string[]
  /** Folder of prepared weights and compiled models. */
  readonly cache: string
  readonly fast?: FastForm
  /** Writes the graph for OpenVINO's own Python in place of running it. */
  readonly isExport?: boolean
}

/** What a table of the page is about. */
export type Quantity = 'unet' | 'vae' | 'first' | 'following'

/** What one process measured: one quantity, or both kinds of pictures. */
export type ProcessAnswer = Readonly<Partial<Record<Quantity, QuantityAnswer>>>

export interface QuantityAnswer {
  /** Seconds of opening; absent where all was open before. */
  readonly load?: number
  /** Seconds of each run by the clock, and of the processor. */
  readonly seconds: readonly number[]
  readonly processor: readonly number[]
  /** Seconds of each run by the clock, by the component that it was spent in. */
  readonly components?: Readonly<Record<Component, readonly number[]>>
  readonly peakBytes: number
  /** Not shared with files. */
  readonly ownBytes: number
}

/** In the order in which a picture needs them. */
export const COMPONENTS = ['text encoder', 'UNet', 'VAE decoder'] as const
export type Component = (typeof COMPONENTS)[number]
