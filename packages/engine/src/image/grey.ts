import type { GreyImage, RgbImage } from './rgb-image.ts'

/** `PIL.Image.convert('L')`: ITU-R 601-2 luma in 16-bit fixed point. */
export function rgbToGrey(image: RgbImage): GreyImage {
  const { width, height, data } = image
  const grey = new Uint8Array(width * height)
  for (let i = 0; i < grey.length; i++) {
    const red = data[i * 3] as number
    const green = data[i * 3 + 1] as number
    const blue = data[i * 3 + 2] as number
    grey[i] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
  }
  return { width, height, data: grey }
}

/** The picture with three equal channels. */
export function greyToRgb(image: GreyImage): RgbImage {
  const data = new Uint8Array(image.data.length * 3)
  for (let i = 0, to = 0; i < image.data.length; i++, to += 3) {
    const grey = image.data[i] as number
    data[to] = grey
    data[to + 1] = grey
    data[to + 2] = grey
  }
  return { width: image.width, height: image.height, data }
}

/** A mask of 0 and 255: white where the grey value reaches one half, as diffusers' `VaeImageProcessor.binarize`. */
export function binarize(mask: GreyImage): GreyImage {
  return { ...mask, data: mask.data.map((value) => (value < 128 ? 0 : 255)) }
}
