import type { PictureThread, RgbImage } from '@darkroom/engine'

const MULTIPLE = 64

/**
 * The face picture at the size that is drawn, by InstantID's rule (`resize_img` of its demo): the shorter side to `shorter`, then the
 * longer one to `longer`, then both down to multiples of 64; bilinear, in two steps as there. With 1024 and 1280 a picture of 3:4 gives
 * 960×1280.
 */
export async function resizeFacePicture(
  image: RgbImage,
  { shorter, longer }: { readonly shorter: number; readonly longer: number },
  pictures: Pick<PictureThread, 'resize'>,
): Promise<RgbImage> {
  const at = (scale: number, size: { readonly width: number; readonly height: number }) => ({
    width: Math.round(scale * size.width),
    height: Math.round(scale * size.height),
  })
  const large = at(shorter / Math.min(image.width, image.height), image)
  const wanted = at(longer / Math.max(large.width, large.height), large)
  const down = (side: number) => Math.max(MULTIPLE, Math.floor(side / MULTIPLE) * MULTIPLE)
  const first = await pictures.resize(image, wanted.width, wanted.height, 'bilinear')
  return pictures.resize(first, down(wanted.width), down(wanted.height), 'bilinear')
}
