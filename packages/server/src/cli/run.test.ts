import { expect, it } from 'vitest'
import { fastLcmDiffusion } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { inputFromFields } from './run.ts'

it('reads fields as JSON where they are, seeds with every digit', () => {
  const fields = ['prompt=a king', 'num_images=2', 'seed=18446744073709551615', 'image_size={"width":64,"height":64}']
  expect(inputFromFields(fields, fastLcmDiffusion)).toEqual({
    sync_mode: false,
    prompt: 'a king',
    num_images: 2,
    seed: 18446744073709551615n,
    image_size: { width: 64, height: 64 },
  })
})

it('names a field that the endpoint does not have', () => {
  expect(() => inputFromFields(['promt=a king'], fastLcmDiffusion)).toThrow(
    /has no field promt; expected one of .*prompt/,
  )
  expect(() => inputFromFields(['prompt'], fastLcmDiffusion)).toThrow('expected key=value')
})
