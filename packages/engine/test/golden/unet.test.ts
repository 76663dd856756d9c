import { afterAll, expect, test } from 'vitest'
import { buildUNetGraph } from '../../src/models/unet-2d-condition.ts'
import { parseUNetConfig } from '../../src/models/unet-2d-condition-config.ts'
import { ModelRunner, readCase, readConfig, relativeError, shapeOf } from './model-case.ts'

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
  const { tensors, weights, tolerance } = await readCase(name)
  const config = parseUNetConfig(await readConfig(weights))
  const [batch, , height, width] = shapeOf(tensors, 'sample')
  const graph = buildUNetGraph(config, { batch, height, width })
  const { noise_pred } = await runner.run(graph, await runner.weights(weights, [graph]), tensors)
  expect(relativeError(noise_pred, tensors.get('expected.noise_pred'))).toBeLessThan(tolerance)
})
