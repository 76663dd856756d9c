import { coveringSize, type RgbImage, sizeByShorterSide } from '@darkroom/engine'
import { fieldError } from '../errors/errors.ts'
import type {
  AdaptersRequest,
  ControlNetRequest,
  FieldPath,
  ImagePromptRequest,
  StartRequest,
} from './adapted-request.ts'
import type { ImageEngine } from './image-engine.ts'
import { drawableSize, type PictureSize } from './picture-size.ts'

type PictureEngine = Pick<ImageEngine, 'pictures'>

/** A picture at another size, made on a thread of its own: one of 64 million pixels takes seconds. */
async function fitPicture(
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

/** Side of the pictures that the image encoders of IP-Adapters take; one that takes others resamples for itself. */
export const ENCODER_SIDE = 224

/**
 * The pictures of adapters at the sizes at which they are looked at, made before the request takes the device; they are the pixels that the
 * engine would make.
 * @param drawn size of the pictures that are drawn
 * @throws WireError 422 for a picture so narrow that it would become too large
 */
export async function fitAdapters(
  engine: PictureEngine,
  adapters: AdaptersRequest,
  drawn: PictureSize,
): Promise<AdaptersRequest> {
  const controlNets: ControlNetRequest[] = []
  for (const control of adapters.controlNets) controlNets.push(await fitControl(engine, control, drawn))
  const imagePrompts: ImagePromptRequest[] = []
  for (const [i, prompt] of adapters.imagePrompts.entries()) {
    imagePrompts.push(await fitImagePrompt(engine, prompt, ['ip_adapter', i, 'ip_adapter_image_url'], drawn))
  }
  const { light } = adapters
  if (light === undefined) return { ...adapters, controlNets, imagePrompts }
  const image = await fitLight(engine, light.image, 'ic_light_image_url', drawn)
  const background =
    light.background && (await fitLight(engine, light.background, 'ic_light_model_background_image_url', drawn))
  return { ...adapters, controlNets, imagePrompts, light: { image, ...(background && { background }) } }
}

/** A mask of another size than its picture's is refused by the engine, which tells both. */
async function fitControl(
  engine: PictureEngine,
  control: ControlNetRequest,
  drawn: PictureSize,
): Promise<ControlNetRequest> {
  const { image, mask } = control
  if (mask && (mask.width !== image.width || mask.height !== image.height)) return control
  return {
    ...control,
    image: await fitPicture(engine, image, drawn),
    ...(mask && { mask: await fitPicture(engine, mask, drawn) }),
  }
}

async function fitImagePrompt(
  engine: PictureEngine,
  prompt: ImagePromptRequest,
  field: FieldPath,
  drawn: PictureSize,
): Promise<ImagePromptRequest> {
  const encoderImages = await fitEncoderPictures(engine, prompt.images, field)
  return { ...prompt, encoderImages, ...(prompt.mask && { mask: await fitPicture(engine, prompt.mask, drawn) }) }
}

/** Pictures as an image encoder of the usual side looks at them, before the middle is cut out. @throws WireError 422 for one that is too narrow */
export async function fitEncoderPictures(
  engine: PictureEngine,
  images: readonly RgbImage[],
  field: FieldPath,
): Promise<readonly RgbImage[]> {
  const fitted: RgbImage[] = []
  for (const image of images) {
    const { width, height } = requireDrawable(sizeByShorterSide(image, ENCODER_SIDE), field)
    fitted.push(await engine.pictures.resize(image, width, height, 'bicubic'))
  }
  return fitted
}

async function fitLight(
  engine: PictureEngine,
  image: RgbImage,
  field: string,
  { width, height }: PictureSize,
): Promise<RgbImage> {
  return fitPicture(engine, image, requireDrawable(coveringSize(image, width, height), [field]))
}

/** Pixels of the largest picture that may be sent, which a narrow one of few exceeds when its shorter side grows. */
const MOST_PIXELS = 64_000_000

function requireDrawable(size: PictureSize, field: FieldPath): PictureSize {
  if (size.width * size.height <= MOST_PIXELS) return size
  throw fieldError(
    field,
    'image_load_error',
    'the picture is too narrow: its longer side is cut off, so send the middle of it',
  )
}
