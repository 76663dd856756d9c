import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readConfig } from '../config/config.ts'
import { fastLcmDiffusion } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { inputFromFields, runEndpoint } from './run.ts'

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

it('makes no folder for a call that is refused, and names endpoints near one that there is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-run-'))
  const output = join(folder, 'output')
  const run = (endpointId: string, fields: readonly string[]) =>
    runEndpoint({ endpointId, fields, output }, readConfig({ dataFolder: folder }, {}), new AbortController().signal)
  await expect(run('fal-ai/fast-lcm-diffusion', [])).rejects.toThrow('prompt: field required')
  await expect(run('fal-ai/fast-lcm', [])).rejects.toThrow(
    'there is no endpoint fal-ai/fast-lcm; near it: fal-ai/fast-lcm-diffusion,',
  )
  expect(existsSync(output)).toBe(false)
  await rm(folder, { recursive: true })
})
