import { createHash } from 'node:crypto'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { encodeImage } from '../../src/image/encode.ts'
import { binarize, rgbToGrey } from '../../src/image/grey.ts'
import { greyToTensor, rgbToTensor, tensorToRgb } from '../../src/image/picture-tensor.ts'
import { clipPixelValuesOptions, pixelValues, vitPixelValuesOptions } from '../../src/image/pixel-values.ts'
import type { ResampleFilter } from '../../src/image/resample-filter.ts'
import { resizeGrey, resizeRgb } from '../../src/image/resize.ts'
import { float32 } from '../../src/tensor/tensor.ts'
import golden from './data/image.json' with { type: 'json' }
import { noiseBytes, noiseImage } from './noise-image.ts'

type Size = readonly [width: number, height: number]

function sha256(data: Uint8Array | Float32Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function bytes(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

it('makes the same noise as the golden script', () => {
  expect(sha256(noiseImage(...(golden.noise.from as unknown as Size)).data)).toBe(golden.noise.sha256)
})

describe('resize', () => {
  it.each(golden.resizes)('equals Pillow: $from to $to, $filter, $channels channels', (resize) => {
    const [width, height] = resize.from as unknown as Size
    const to = resize.to as unknown as Size
    const filter = resize.filter as ResampleFilter
    const image = { width, height, data: noiseBytes(width * height * resize.channels) }
    const { data } = (resize.channels === 3 ? resizeRgb : resizeGrey)(image, ...to, filter)
    if (resize.base64_of !== undefined) expect([...data]).toEqual([...bytes(resize.base64_of)])
    else expect(sha256(data)).toBe(resize.sha256)
  })
})

it('converts to grey like Pillow', () => {
  expect(sha256(rgbToGrey(noiseImage(...(golden.grey.from as unknown as Size))).data)).toBe(golden.grey.sha256)
})

it('turns VAE output into bytes like diffusers', () => {
  const { shape, float32: values, rgb } = golden.vae_output
  const images = tensorToRgb(float32(shape, new Float32Array(bytes(values).buffer)))
  expect(images.map((image) => [image.width, image.height])).toEqual([
    [26, 10],
    [26, 10],
  ])
  expect(images.map((image) => [...image.data])).toEqual(rgb.map((picture) => [...bytes(picture)]))
})

it('prepares pictures and masks like VaeImageProcessor', () => {
  const { from, to, signed, unit, mask } = golden.preprocess
  const image = resizeRgb(noiseImage(...(from as unknown as Size)), ...(to as unknown as Size), 'lanczos')
  expect(sha256(rgbToTensor(image, 'signed').data)).toBe(signed)
  expect(sha256(rgbToTensor(image, 'unit').data)).toBe(unit)
  expect(sha256(greyToTensor(binarize(rgbToGrey(image)), 'unit').data)).toBe(mask)
})

it.each(golden.classifier_inputs)('prepares $from for CLIP and ViT like transformers', ({ from, clip, vit }) => {
  const image = noiseImage(...(from as unknown as Size))
  expect(sha256(pixelValues(image, clipPixelValuesOptions(224)).data)).toBe(clip)
  expect(sha256(pixelValues(image, vitPixelValuesOptions(224)).data)).toBe(vit)
})

it('writes the JPEG that Pillow writes at quality 95', async () => {
  const file = await encodeImage(noiseImage(...(golden.jpeg.from as unknown as Size)), 'jpeg')
  expect(sha256(await sharp(file).raw().toBuffer())).toBe(golden.jpeg.sha256)
})
