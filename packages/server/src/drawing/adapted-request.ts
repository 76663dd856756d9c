import type { GenerationParameters, RgbImage, SchedulerChoice } from '@darkroom/engine'
import type { PictureFormat } from './picture-output.ts'
import type { PictureSize } from './picture-size.ts'
import type { SafetyRequest } from './safety.ts'

/** Where a request names something: the path of an input field. */
export type FieldPath = readonly (string | number)[]

/** The base model, by references. */
export interface BaseModelRequest {
  readonly name: string
  /** A UNet in place of the model's own. */
  readonly unetName?: string | undefined
  readonly variant?: string | undefined
}

export interface LoraRequest {
  readonly field: FieldPath
  readonly path: string
  readonly scale: number
}

export interface EmbeddingRequest {
  readonly field: FieldPath
  readonly path: string
  /** Row i of the file stands for token i. */
  readonly tokens: readonly string[]
}

/** What a request applies to the base model. */
export interface AdaptersRequest {
  readonly loras: readonly LoraRequest[]
  readonly embeddings: readonly EmbeddingRequest[]
}

/** A picture to start from, and the part of it to draw anew. */
export interface StartRequest {
  readonly image: RgbImage
  /** White is drawn anew; the whole picture when absent. */
  readonly mask?: RgbImage
  readonly strength: number
}

/** A request to draw with a base model and adapters of the caller's choice. */
export interface AdaptedRequest extends SafetyRequest {
  readonly model: BaseModelRequest
  readonly adapters: AdaptersRequest
  readonly prompt: string
  readonly negativePrompt: string
  readonly promptWeighting: boolean
  readonly clipSkip: number
  readonly scheduler: SchedulerChoice
  readonly schedule: GenerationParameters['schedule']
  readonly guidanceScale: number
  readonly eta: number
  readonly seed: bigint
  readonly numImages: number
  /** Size of the answer's pictures. */
  readonly size: PictureSize
  readonly start?: StartRequest
  readonly format: PictureFormat
  /** Files of latents to answer with. */
  readonly debug: { readonly final: boolean; readonly passes: boolean }
}
