import { access } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { bundled } from '../processes/installation.ts'
import { DEMO_ADAPTERS, demoAdapterHint } from './demo-adapters.ts'

test.each(DEMO_ADAPTERS.map(({ id }) => id))('%s comes with the program', async (id) => {
  await expect(access(bundled(`models/${id.replace('/', '-')}`))).resolves.toBeUndefined()
})

test('a field is shown by what was made for it, or nothing is said', () => {
  expect(demoAdapterHint('lora', 'owner/pastel')).toMatch('pinhole/blueprint-lora')
  expect(demoAdapterHint('controlnet', 'lllyasviel/control_v11p_sd15_canny')).toMatch(/pinhole\/canny shows/)
  expect(demoAdapterHint('controlnet', 'thibaud/controlnet-openpose-sdxl-1.0')).toMatch(/pinhole\/pose shows/)
  expect(demoAdapterHint('controlnet', 'lllyasviel/control_v11f1p_sd15_depth')).toMatch(/pinhole\/depth shows/)
  expect(demoAdapterHint('ip-adapter', 'h94/IP-Adapter')).toMatch(/pinhole\/ip-adapter shows/)
  expect(demoAdapterHint('ip-adapter', 'InstantX/InstantID')).toMatch(/Pinhole, pinhole\/instantid shows/)
  expect(demoAdapterHint('controlnet', 'InstantX/InstantID/ControlNetModel')).toMatch(/pinhole\/instantid\/Con/)
  expect(demoAdapterHint('controlnet', 'lllyasviel/control_v11f1e_sd15_tile')).toBe('')
  expect(demoAdapterHint('safety-checker', 'owner/checker')).toBe('')
})
