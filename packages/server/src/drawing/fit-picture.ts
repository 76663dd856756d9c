import type { RgbImage } from '@darkroom/engine'
import type { StartRequest } from './adapted-request.ts'
import type { ImageEngine } from './image-engine.ts'
import { drawableSize, type PictureSize } from './picture-size.ts'

type PictureEngine = Pick<ImageEngine, 'pictures'>

/** A picture at another size, made on a thread of its own: one of 64 million pixels takes seconds. */
export async function fitPicture(
  { pictures }: PictureEngine,
  image: RgbImage,
  { width, height }: PictureSize,
): Promise<RgbImage> {
  if (image.width === width && image.height === height) return image
  return pictures.resize(image, width, height, 'lanczos')
}

/** What a request starts from at the size that is drawn; made before the request takes the device. */
export async function fitStart<T extends StartRequest>(
  engine: PictureEngine,
  start: T,
  size: PictureSize,
  vaeFactor: number,
): Promise<T> {
  const drawn = drawableSize(size, vaeFactor)
  const image = await fitPicture(engine, start.image, drawn)
  return { ...start, image, ...(start.mask && { mask: await fitPicture(engine, start.mask, drawn) }) }
}
