import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { encodeImage } from './encode.ts'
import { LONGEST_PICTURE_TEXT, withPictureText } from './picture-text.ts'

const image = { width: 8, height: 8, data: Uint8Array.from({ length: 192 }, (_, i) => i) }
const TEXT = '{"endpoint_id": "fal-ai/lora", "input": {"prompt": "caf\\u00e9"}}'

describe('a text in a picture', () => {
  it.each(['png', 'jpeg'] as const)('leaves the pixels of a %s as they are', async (format) => {
    const plain = await encodeImage(image, format)
    const pixels = (file: Uint8Array) => sharp(file).raw().toBuffer()
    expect(await pixels(withPictureText(plain, format, TEXT))).toEqual(await pixels(plain))
  })

  it('is the EXIF comment of a JPEG, as libvips reads it', async () => {
    const { exif } = await sharp(withPictureText(await encodeImage(image, 'jpeg'), 'jpeg', TEXT)).metadata()
    expect(exif?.toString('latin1')).toContain(`ASCII\0\0\0${TEXT}`)
  })

  it('is a comment of a PNG, as libvips reads it', async () => {
    const metadata = await sharp(withPictureText(await encodeImage(image, 'png'), 'png', TEXT)).metadata()
    expect(metadata.comments).toEqual([{ keyword: 'darkroom', text: TEXT }])
  })

  it('fits a JPEG at its longest, and is refused beyond', async () => {
    const plain = await encodeImage(image, 'jpeg')
    const { exif } = await sharp(withPictureText(plain, 'jpeg', 'x'.repeat(LONGEST_PICTURE_TEXT))).metadata()
    expect(exif?.length).toBeGreaterThan(LONGEST_PICTURE_TEXT)
    expect(() => withPictureText(plain, 'jpeg', 'x'.repeat(LONGEST_PICTURE_TEXT + 1))).toThrow(RangeError)
    expect(() => withPictureText(plain, 'jpeg', 'é')).toThrow(RangeError)
  })
})
