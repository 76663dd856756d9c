import { afterAll, expect, test } from 'vitest'
import { outputsOutside, unetErrors } from './graph-errors.ts'
import { ModelRunner } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test.each([
  'unet-sd15',
  'unet-sd15-batch-2',
  'unet-sd15-odd',
  'unet-sd15-fractional-timestep',
  'unet-sdxl',
  'unet-sdxl-odd',
  'unet-lcm',
  'unet-options-a',
  'unet-options-b',
  'unet-options-c',
])('%s predicts the noise that UNet2DConditionModel predicts', async (name) => {
  expect(outputsOutside(await unetErrors(runner, name))).toEqual([])
})
