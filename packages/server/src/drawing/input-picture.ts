import { decodeImage, type RgbImage } from '@darkroom/engine'
import type { HandlerContext } from '../endpoints/endpoint.ts'
import { toWireError } from './engine-errors.ts'
import type { PictureSize } from './picture-size.ts'

export interface PictureInput {
  readonly image_url?: string | undefined
  readonly image_bytes?: Uint8Array | null | undefined
}

/** The input picture: the bytes of a realtime frame, or what the URL leads to. */
export async function inputPicture(input: PictureInput, context: HandlerContext): Promise<RgbImage> {
  const field = input.image_bytes ? 'image_bytes' : 'image_url'
  const bytes = input.image_bytes ?? (await context.readFile(input.image_url ?? '', ['image_url']))
  return decode(bytes, [field])
}

/** The picture that an input field's URL leads to. */
export async function pictureFrom(
  url: string,
  field: readonly (string | number)[],
  context: HandlerContext,
): Promise<RgbImage> {
  return decode(await context.readFile(url, field), field)
}

async function decode(bytes: Uint8Array, field: readonly (string | number)[]): Promise<RgbImage> {
  try {
    return await decodeImage(bytes)
  } catch (error) {
    throw toWireError(error, { image: field })
  }
}

const LARGEST_SIDE = 1024

/** Size of the answer to an input picture: its own, reduced to 1024 on the longer side, each side a multiple of 8. */
export function sizeOfInput({ width, height }: PictureSize): PictureSize {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(width, height))
  const side = (pixels: number) => Math.max(8, Math.floor((pixels * scale) / 8) * 8)
  return { width: side(width), height: side(height) }
}
