import { z } from 'zod'

/** Pixels of the named sizes. */
const IMAGE_SIZE_PRESETS = {
  square_hd: { width: 1024, height: 1024 },
  square: { width: 512, height: 512 },
  portrait_4_3: { width: 768, height: 1024 },
  portrait_16_9: { width: 576, height: 1024 },
  landscape_4_3: { width: 1024, height: 768 },
  landscape_16_9: { width: 1024, height: 576 },
} as const

export type ImageSizePreset = keyof typeof IMAGE_SIZE_PRESETS

const PRESETS = Object.keys(IMAGE_SIZE_PRESETS) as [ImageSizePreset, ...ImageSizePreset[]]
const LARGEST_SIDE = 14_142

const side = (name: string) =>
  z
    .int()
    .gt(0)
    .max(LARGEST_SIDE)
    .default(512)
    .meta({ title: name, description: `The ${name.toLowerCase()} of the generated image.` })

const customImageSize = z
  .object({ width: side('Width'), height: side('Height') })
  .meta({ id: 'ImageSize', title: 'ImageSize' })

/** The custom object is tried first, as in fal's own union: a wrong name is answered with both branches' errors. */
export const imageSize = z.union([customImageSize, z.enum(PRESETS)])

export type ImageSize = z.output<typeof imageSize>

/** Width and height in pixels of a size as the input has it. */
export function resolveImageSize(size: ImageSize): { readonly width: number; readonly height: number } {
  return typeof size === 'string' ? IMAGE_SIZE_PRESETS[size] : size
}
