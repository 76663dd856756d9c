import { expect, test } from 'vitest'
import { nearEndpoints } from './near-endpoints.ts'

const IDS = [
  'fal-ai/fast-lcm-diffusion',
  'fal-ai/fast-lcm-diffusion/image-to-image',
  'fal-ai/fast-lcm-diffusion/inpainting',
  'fal-ai/lcm',
  'fal-ai/lcm-sd15-i2i',
  'fal-ai/lora',
  'fal-ai/dwpose',
]

test.each([
  ['fal-ai/fast-lcm-difusion', ['fal-ai/fast-lcm-diffusion']],
  ['fast-lcm-diffusion', ['fal-ai/fast-lcm-diffusion']],
  ['fal-ai/fast-lcm-diffusion/inpaint', ['fal-ai/fast-lcm-diffusion/inpainting', 'fal-ai/fast-lcm-diffusion']],
  ['fal-ai/lcm-sd15', ['fal-ai/lcm-sd15-i2i', 'fal-ai/lcm']],
  ['acme/DWPose', ['fal-ai/dwpose']],
  ['fal-ai/veo3', []],
  ['', []],
])('%s', (asked, expected) => {
  const near = nearEndpoints(asked, IDS)
  expect(near.slice(0, expected.length)).toEqual(expected)
  if (expected.length === 0) expect(near).toEqual([])
})

test('a long id costs no time and names nothing', () => {
  expect(nearEndpoints(`fal-ai/${'x'.repeat(100_000)}`, IDS)).toEqual([])
})
