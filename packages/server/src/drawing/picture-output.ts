import { encodeImage, type RgbImage, resizeRgb } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { withRecord } from './picture-record.ts'
import type { PictureSize } from './picture-size.ts'

export interface PictureFormat {
  readonly format: 'jpeg' | 'png'
  /** The picture goes into the answer as a `data:` URI and is not stored. */
  readonly syncMode: boolean
}

/** A picture to hand out, and the seed that its request was drawn from, where it was drawn. */
export interface PictureOrder {
  readonly format: PictureFormat
  readonly seed?: bigint
}

/** fal's fast/LCM image object; key order as the live service sends it. */
export interface OutputPicture {
  readonly url?: string
  /** Realtime: the file's bytes, in place of a URL; the gateway adds one. */
  readonly content?: Uint8Array
  readonly width: number
  readonly height: number
  readonly content_type: string
}

/** Encodes a picture and puts it where the caller wants it: into the frame, into a `data:` URI, or into storage. */
export async function outputPicture(
  image: RgbImage,
  { format: { format, syncMode }, seed }: PictureOrder,
  context: HandlerContext,
): Promise<OutputPicture> {
  const plain = await encodeImage(image, format)
  const contentType = `image/${format}`
  const described = { width: image.width, height: image.height, content_type: contentType }
  // Frames are to be small and quick, and nobody keeps them.
  if (context.inlineBytes) return { content: plain, ...described }
  const bytes = withRecord(plain, format, context.record, seed)
  if (syncMode) return { url: dataUri(bytes, contentType), ...described }
  const file = await context.saveFile(bytes, contentType, format === 'jpeg' ? 'jpg' : 'png')
  return { url: file.url, ...described }
}

/** fal's full image object, of endpoints that answer with files; key order as the live service sends it. */
export interface FilePicture {
  readonly url: string
  readonly content_type: string
  readonly file_name: string
  readonly file_size: number
  readonly width: number
  readonly height: number
}

/** Encodes a picture and stores it, or puts it into a `data:` URI. */
export async function filePicture(
  image: RgbImage,
  { format: { format, syncMode }, seed }: PictureOrder,
  context: HandlerContext,
): Promise<FilePicture> {
  const bytes = withRecord(await encodeImage(image, format), format, context.record, seed)
  const contentType = `image/${format}`
  const extension = format === 'jpeg' ? 'jpg' : 'png'
  const file = syncMode
    ? { url: dataUri(bytes, contentType), fileName: `image.${extension}`, fileSize: bytes.length }
    : await context.saveFile(bytes, contentType, extension)
  return {
    url: file.url,
    content_type: contentType,
    file_name: file.fileName,
    file_size: file.fileSize,
    width: image.width,
    height: image.height,
  }
}

/** A picture that is not the final one: never stored. */
export async function previewPicture(image: RgbImage): Promise<OutputPicture> {
  const url = dataUri(await encodeImage(image, 'jpeg'), 'image/jpeg')
  return { url, width: image.width, height: image.height, content_type: 'image/jpeg' }
}

function dataUri(bytes: Uint8Array, contentType: string): string {
  return `data:${contentType};base64,${Buffer.from(bytes).toString('base64')}`
}

/** The picture at the size that was asked for; resampled (Lanczos) where the checkpoint draws another. */
export function atSize(image: RgbImage, { width, height }: PictureSize): RgbImage {
  return image.width === width && image.height === height ? image : resizeRgb(image, width, height, 'lanczos')
}
