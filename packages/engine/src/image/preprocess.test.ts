import { expect, it } from 'vitest'
import { CLIP_PREPROCESSING, preprocessImage, VIT_PREPROCESSING } from './preprocess.ts'
import { blackImage } from './rgb-image.ts'

it('cuts the middle out of a wide picture for CLIP', () => {
  // Black, with a white square in the middle that fills the height.
  const image = blackImage(96, 32)
  for (let y = 0; y < 32; y++) image.data.fill(255, (y * 96 + 32) * 3, (y * 96 + 64) * 3)
  const { shape, data } = preprocessImage(image, CLIP_PREPROCESSING)
  expect(shape).toEqual([1, 3, 224, 224])
  const white = (1 - 0.48145466) / 0.26862954
  expect(data[112 * 224 + 112]).toBeCloseTo(white, 5)
  expect(data[112 * 224 + 20]).toBeCloseTo(white, 5)
})

it('squeezes the whole of a wide picture for ViT', () => {
  const image = blackImage(96, 32)
  for (let y = 0; y < 32; y++) image.data.fill(255, (y * 96 + 32) * 3, (y * 96 + 64) * 3)
  const { shape, data } = preprocessImage(image, VIT_PREPROCESSING)
  expect(shape).toEqual([1, 3, 224, 224])
  expect(data[112 * 224 + 112]).toBe(1)
  expect(data[112 * 224 + 20]).toBe(-1)
})
