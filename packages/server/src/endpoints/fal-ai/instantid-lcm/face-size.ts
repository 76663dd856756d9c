import { type RgbImage, resizeRgb } from '@darkroom/engine'

const SHORTER_SIDE = 1024
const LONGER_SIDE = 1280
const MULTIPLE = 64

/**
 * The face picture at the size that is drawn, by InstantID's rule (`resize_img` of its demo): the shorter side to 1024, then the longer
 * one to 1280, then both down to multiples of 64; bilinear, in two steps as there. A picture of 3:4 gives 960×1280.
 */
export function resizeFacePicture(image: RgbImage): RgbImage {
  let { width, height } = image
  for (const ratio of [SHORTER_SIDE / Math.min(width, height), undefined]) {
    const scale = ratio ?? LONGER_SIDE / Math.max(width, height)
    width = Math.round(scale * width)
    height = Math.round(scale * height)
  }
  const first = resizeRgb(image, width, height, 'bilinear')
  const down = (side: number) => Math.max(MULTIPLE, Math.floor(side / MULTIPLE) * MULTIPLE)
  return resizeRgb(first, down(width), down(height), 'bilinear')
}
