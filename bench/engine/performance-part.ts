import type { FastForm } from '../../packages/engine/src/runtime/fast-form.ts'

/** What is measured in one process. */
export interface Measurement {
  readonly checkpoint: string
  readonly part: 'unet' | 'vae' | 'picture'
  /** Sides of the picture in pixels. */
  readonly size: number
  readonly threads: number
  readonly runs: number
  /** Of the LCM picture. */
  readonly steps: number
  /** Folder of prepared weights and compiled models. */
  readonly cache: string
  readonly fast?: FastForm
  /** Writes the graph for OpenVINO's own Python in place of running it. */
  readonly isExport?: boolean
}

export interface PartAnswer {
  /** Seconds. */
  readonly load: number
  /** Seconds of each run by the clock, and of the processor. */
  readonly seconds: readonly number[]
  readonly processor: readonly number[]
  readonly peakBytes: number
  /** Not shared with files. */
  readonly ownBytes: number
}
