import { afterAll, expect, test } from 'vitest'
import { controlNetErrors, outputsOutside } from './graph-errors.ts'
import { ModelRunner } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test.each(['controlnet-sd15', 'controlnet-sdxl', 'controlnet-sdxl-small', 'controlnet-pooled'])(
  '%s gives the residuals of ControlNetModel',
  async (name) => {
    expect(outputsOutside(await controlNetErrors(runner, name))).toEqual([])
  },
)
