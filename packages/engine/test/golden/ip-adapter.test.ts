import { afterAll, expect, test } from 'vitest'
import { ipAdapterErrors, outputsOutside } from './graph-errors.ts'
import { ModelRunner } from './model-case.ts'

const runner = new ModelRunner()
afterAll(() => runner.dispose())

test.each([
  ['base', 'linear'],
  ['full', 'full'],
  ['plus', 'resampler'],
  ['instantid', 'resampler'],
  ['face-id', 'face-id'],
  ['face-id-portrait', 'face-id'],
  ['face-id-plus-v1', 'face-id-plus'],
  ['face-id-plus-v2', 'face-id-plus'],
])('%s gives the tokens, keys and values of diffusers', async (name, kind) => {
  const found = await ipAdapterErrors(runner, name)
  expect(found.kind).toBe(kind)
  expect(outputsOutside(found)).toEqual([])
})
