import { PictureThread, type RgbImage } from '@darkroom/engine'
import { afterAll, describe, expect, it } from 'vitest'
import { clipPixelValuesOptions, pixelValues } from '../../../engine/src/image/pixel-values.ts'
import { resizeRgb } from '../../../engine/src/image/resize.ts'
import { resizeAndCrop } from '../../../engine/src/pipelines/apply-ic-light.ts'
import { type AdaptersRequest, NO_ADAPTERS } from './adapted-request.ts'
import { fitAdapters } from './fit-picture.ts'

const pictures = new PictureThread()
afterAll(() => pictures.dispose())

const SIZE = { width: 96, height: 64 }

function picture(width: number, height: number): RgbImage {
  return { width, height, data: new Uint8Array(width * height * 3).map((_, i) => (i * 7919 + (i >> 5) * 31) % 256) }
}

function fit(adapters: Partial<AdaptersRequest>): Promise<AdaptersRequest> {
  return fitAdapters({ pictures }, { ...NO_ADAPTERS, ...adapters }, SIZE)
}

const CONTROL = { path: 'c', scale: 1, start: 0, end: 1 }
const PROMPT = { path: 'p', scale: 1, projectionShortcut: false }
const lanczos = (image: RgbImage) => resizeRgb(image, SIZE.width, SIZE.height, 'lanczos')

describe('fitAdapters', () => {
  it('resamples control pictures and masks to the size that is drawn, as the engine does', async () => {
    const [image, mask] = [picture(700, 800), picture(700, 800)]
    const { controlNets } = await fit({ controlNets: [{ ...CONTROL, image, mask }] })
    expect(controlNets[0]).toMatchObject({ image: lanczos(image), mask: lanczos(mask) })
  })

  it('leaves a mask of another size to the engine, which refuses it', async () => {
    const control = { ...CONTROL, image: picture(50, 50), mask: picture(40, 50) }
    expect((await fit({ controlNets: [control] })).controlNets).toEqual([control])
  })

  it.each([
    [600, 800],
    [901, 777],
    [150, 90],
  ])('gives the encoder of image prompts the pixels of a %i × %i picture that it would make', async (width, height) => {
    const [image, mask] = [picture(width, height), picture(30, 40)]
    const { imagePrompts } = await fit({ imagePrompts: [{ ...PROMPT, images: [image], mask }] })
    const [prompt] = imagePrompts
    expect(prompt?.images).toEqual([image])
    expect(prompt?.mask).toEqual(lanczos(mask))
    const options = clipPixelValuesOptions(224)
    expect(pixelValues(prompt?.encoderImages?.[0] as RgbImage, options)).toEqual(pixelValues(image, options))
  })

  it.each([
    [800, 600],
    [333, 777],
    [96, 64],
  ])('covers the size that is drawn with a %i × %i picture to be lit, as the engine does', async (width, height) => {
    const image = picture(width, height)
    const { light } = await fit({ light: { image, background: picture(64, 64) } })
    expect(resizeAndCrop(light?.image as RgbImage, SIZE.width, SIZE.height)).toEqual(
      resizeAndCrop(image, SIZE.width, SIZE.height),
    )
    expect(light?.background?.width).toBe(96)
  })

  it('refuses pictures so narrow that they would become huge', async () => {
    const narrow = picture(1, 2000)
    const refused = { status: 422, detail: [expect.objectContaining({ type: 'image_load_error' })] }
    await expect(fit({ imagePrompts: [{ ...PROMPT, images: [narrow] }] })).rejects.toMatchObject(refused)
    await expect(fit({ light: { image: picture(1, 8000) } })).rejects.toMatchObject(refused)
  })
})
