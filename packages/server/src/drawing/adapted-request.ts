import type { FloatTensor, GenerationParameters, RgbImage } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
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
  /** IC-Light's offsets, which become part of the UNet. */
  readonly icLight?: string | undefined
}

export interface LoraRequest {
  readonly path: string
  readonly scale: number
}

export interface EmbeddingRequest {
  readonly path: string
  /** Row i of the file stands for token i. */
  readonly tokens: readonly string[]
}

export interface ControlNetRequest {
  readonly path: string
  /** What the ControlNet's config.json holds, for a single file of weights. */
  readonly config?: Readonly<Record<string, unknown>> | undefined
  readonly variant?: string | undefined
  readonly image: RgbImage
  readonly mask?: RgbImage | undefined
  readonly scale: number
  /** Shares of the steps between which it counts. */
  readonly start: number
  readonly end: number
  /** Which image prompt's tokens it reads in place of the prompt. */
  readonly imagePromptIndex?: number | undefined
}

export interface ImagePromptRequest {
  readonly path: string
  readonly subfolder?: string | undefined
  readonly weightName?: string | undefined
  readonly images: readonly RgbImage[]
  /** The same for an image encoder of the usual side, resampled before the request takes the device. */
  readonly encoderImages?: readonly RgbImage[]
  /** Of faces, in place of pictures: for InstantID's, [1, 512] each. */
  readonly faceEmbeddings?: readonly FloatTensor[]
  /** What tells the pictures' faces apart, for FaceID; the server's own networks when absent. */
  readonly faceNetworks?: string | undefined
  /** One image prompt of the mean of the pictures' features, in place of one for each. */
  readonly averaged?: boolean
  readonly mask?: RgbImage | undefined
  readonly maskResampling?: 'bicubic' | 'nearest'
  readonly scale: number
  readonly scaleByBlock?: Readonly<Record<string, unknown>> | undefined
  readonly unconditionalNoise?: number | undefined
  readonly projectionShortcut: boolean
}

/** Where the weights of an IP-Adapter are, and what tells faces apart for it. */
export type ImagePromptReference = Pick<ImagePromptRequest, 'path' | 'subfolder' | 'weightName' | 'faceNetworks'>

/** Where the CLIP image encoder of the image prompts is. */
export interface ImageEncoderRequest {
  readonly path: string
  readonly subfolder?: string | undefined
  readonly weightName?: string | undefined
}

/** The weights of adapters, by references. */
export interface AdapterReferences {
  readonly loras: readonly Pick<LoraRequest, 'path'>[]
  readonly embeddings: readonly Pick<EmbeddingRequest, 'path'>[]
  readonly controlNets: readonly Pick<ControlNetRequest, 'path' | 'variant'>[]
  readonly imagePrompts: readonly ImagePromptReference[]
  readonly imageEncoder?: ImageEncoderRequest | undefined
}

/** What a request applies to the base model. */
export interface AdaptersRequest extends AdapterReferences {
  readonly loras: readonly LoraRequest[]
  readonly embeddings: readonly EmbeddingRequest[]
  readonly controlNets: readonly ControlNetRequest[]
  readonly guessMode: boolean
  readonly imagePrompts: readonly ImagePromptRequest[]
  /** Absent: the one that lies beside the adapter's weights. */
  readonly imageEncoder?: ImageEncoderRequest | undefined
  /** What is lit anew, for a base model with IC-Light. */
  readonly light?: { readonly image: RgbImage; readonly background?: RgbImage } | undefined
}

export const NO_ADAPTERS: AdaptersRequest = {
  loras: [],
  embeddings: [],
  controlNets: [],
  guessMode: false,
  imagePrompts: [],
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
  readonly generation: Omit<GenerationParameters, 'adapters' | 'onWarning' | 'forPreview' | 'onDenoised'>
  /** Size of the answer's pictures. */
  readonly size: PictureSize
  readonly start?: StartRequest
  readonly format: PictureFormat
  /** Files of latents to answer with; none when absent. */
  readonly debug?: { readonly final: boolean; readonly passes: boolean }
}

/** What endpoints have in common that answer one PNG. */
export function onePng(
  { enable_safety_checker: checkSafety }: { readonly enable_safety_checker: boolean },
  { inlineBytes: syncMode }: Pick<HandlerContext, 'inlineBytes'>,
): Pick<AdaptedRequest, keyof SafetyRequest | 'format'> {
  return { checkSafety, safetyCheckerVersion: 'v1', format: { format: 'png', syncMode } }
}
