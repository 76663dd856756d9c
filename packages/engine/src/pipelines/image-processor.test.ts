import { expect, it } from 'vitest'
import { clipPixelValuesOptions, vitPixelValuesOptions } from '../image/pixel-values.ts'
import { parseImageProcessorConfig } from './image-processor.ts'

const CLIP = clipPixelValuesOptions(224)
const VIT = vitPixelValuesOptions(224)

it('takes a bare size as the class does: the shorter side for CLIP, both for ViT', () => {
  expect(parseImageProcessorConfig({ size: 336, crop_size: 320 }, CLIP)).toMatchObject({
    size: { shortestEdge: 336 },
    crop: { width: 320, height: 320 },
  })
  const vit = parseImageProcessorConfig({ size: 384 }, VIT)
  expect(vit.size).toEqual({ width: 384, height: 384 })
  expect(vit.crop).toBeUndefined()
})

it('reads every field of today’s files', () => {
  const config = {
    do_resize: true,
    do_center_crop: true,
    size: { shortest_edge: 48 },
    crop_size: { height: 40, width: 44 },
    resample: 2,
    rescale_factor: 0.5,
    image_mean: [0, 0.1, 0.2],
    image_std: [1, 2, 3],
  }
  expect(parseImageProcessorConfig(config, VIT)).toEqual({
    size: { shortestEdge: 48 },
    crop: { height: 40, width: 44 },
    filter: 'bilinear',
    rescaleFactor: 0.5,
    mean: [0, 0.1, 0.2],
    std: [1, 2, 3],
  })
})

it('keeps the defaults of absent fields, and no crop where it is switched off', () => {
  expect(parseImageProcessorConfig({}, CLIP)).toEqual(CLIP)
  expect(parseImageProcessorConfig({ do_center_crop: false }, CLIP).crop).toBeUndefined()
})

it.each([
  [{ resample: 5 }, 'resample: expected one of Pillow’s filters 0 to 4, found 5'],
  [{ do_normalize: false }, 'do_normalize: expected true (anything else is not supported), found false'],
  [{ crop_size: 225 }, 'crop_size: expected at most the size 224x224 that is cropped, found 225'],
  [{ size: { shortest_edge: 224, longest_edge: 448 } }, 'size: longest_edge: expected null'],
  [{ size: { height: 224 } }, 'size: width: expected a positive integer'],
  [{ image_mean: [0.5] }, 'image_mean: expected a list of 3'],
])('refuses %j', (config, message) => {
  expect(() => parseImageProcessorConfig(config, CLIP)).toThrow(message)
})
