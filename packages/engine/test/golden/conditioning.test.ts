import { afterAll, describe, expect, test } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { conditioningCases, drawConditioned, expectedLatents, icLightChannels } from './conditioning-cases.ts'

describe('conditioned pipelines against diffusers', () => {
  const engine = openEngine({ threads: 1 })
  afterAll(() => engine.dispose())

  // float32 sums in another order differ by about 1e-6 an operation; 1e-4 leaves room for the steps.
  test.each(conditioningCases)('$name', async (request) => {
    const error = relativeError(await drawConditioned(engine, request), await expectedLatents(request.name))
    expect(error).toBeLessThan(1e-4)
  })

  test.each(conditioningCases.filter(({ ic_light }) => ic_light))(
    '$name shows the UNet the pictures’ latents',
    async (request) => {
      const channels = await icLightChannels(engine, request)
      expect(relativeError(channels, await expectedLatents(`${request.name}.channels`))).toBeLessThan(2e-5)
    },
  )
})
