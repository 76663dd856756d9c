import { describe, expect, test } from 'vitest'
import { createCatalogue } from './catalogue.ts'
import { fastLcmDiffusion, fastLcmDiffusionImageToImage } from './fal-ai/fast-lcm-diffusion/schema.ts'
import { lcmSd15ImageToImage } from './fal-ai/lcm/schema.ts'

const catalogue = createCatalogue([fastLcmDiffusion, fastLcmDiffusionImageToImage, lcmSd15ImageToImage])

describe('catalogue', () => {
  test.each([
    ['fal-ai/fast-lcm-diffusion', fastLcmDiffusion],
    ['/fal-ai/fast-lcm-diffusion/', fastLcmDiffusion],
    ['fal-ai/fast-lcm-diffusion/image-to-image', fastLcmDiffusionImageToImage],
    ['fal-ai/lcm-sd15-i2i', lcmSd15ImageToImage],
    ['110602490-lcm-sd15-i2i', lcmSd15ImageToImage],
    ['110602490/lcm-sd15-i2i', lcmSd15ImageToImage],
  ])('%s', (id, endpoint) => {
    expect(catalogue.find(id)).toEqual({ kind: 'found', endpoint })
  })

  test('an unknown path of a known application, and an unknown application', () => {
    expect(catalogue.find('fal-ai/lcm-sd15-i2i/x/y')).toEqual({
      kind: 'unknown-path',
      application: 'fal-ai/lcm-sd15-i2i',
      path: '/x/y',
    })
    expect(catalogue.find('fal-ai/none/x')).toEqual({ kind: 'unknown-application', application: 'fal-ai/none' })
    expect(catalogue.find('none')).toEqual({ kind: 'unknown-application', application: 'none' })
  })

  test('an endpoint whose id is none is refused', () => {
    expect(() => createCatalogue([{ ...fastLcmDiffusion, id: 'fal-ai' }])).toThrow('expected owner/alias')
  })
})
