import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { type ConditioningCase, conditioningCases, drawConditioned } from './conditioning-cases.ts'
import { finished } from './finished.ts'

import { DATA } from './model-case.ts'

const engine = openEngine({ threads: 1 })
afterAll(() => engine.dispose())
const created = vi.spyOn(engine.runtime, 'createSession')
beforeEach(() => {
  created.mockClear()
})

const caseOf = (name: string) => conditioningCases.find((request) => request.name === name) as ConditioningCase
const sessions = () => created.mock.calls.map(([graph]) => graph.name)

test('other ControlNets, and more of them, run in the same session of the UNet', async () => {
  await drawConditioned(engine, caseOf('control'))
  expect(sessions()).toContain('unet')
  created.mockClear()
  await drawConditioned(engine, caseOf('control-two'))
  expect(new Set(sessions())).toEqual(new Set(['controlnet', 'controlnet_image']))
  created.mockClear()
  await drawConditioned(engine, caseOf('control-steps'))
  expect(sessions()).toEqual([])
})

test('another ControlNet and IP-Adapter of the same shapes cost the sessions of their own weights alone', async () => {
  const [control, image] = [caseOf('control'), caseOf('image')]
  const request = { ...control, image_prompts: image.image_prompts } as ConditioningCase
  await drawConditioned(engine, request)
  created.mockClear()
  // Other files of the same shapes: copies, which nothing takes for the files that are loaded.
  const copies = await mkdtemp(join(tmpdir(), 'sessions-'))
  await cp(join(DATA, 'conditioning/controlnet-sd15'), join(copies, 'controlnet'), { recursive: true })
  await cp(join(DATA, 'conditioning/base.safetensors'), join(copies, 'adapter.safetensors'))
  const below = (name: string) => relative(join(DATA, 'conditioning'), join(copies, name))
  await drawConditioned(engine, {
    ...request,
    controlnets: control.controlnets.map((other) => ({ ...other, model: below('controlnet') })),
    image_prompts: image.image_prompts.map((other) => ({ ...other, adapter: below('adapter') })),
  } as ConditioningCase)
  expect(sessions().toSorted()).toEqual(['controlnet', 'controlnet_image', 'ip_adapter'])
  await rm(copies, { recursive: true })
})

test('another picture or scale costs no session, and another IP-Adapter only its own', async () => {
  const request = caseOf('image')
  const withPrompt = (change: Partial<ConditioningCase['image_prompts'][number]>) =>
    ({
      ...request,
      image_prompts: request.image_prompts.map((prompt) => ({ ...prompt, ...change })),
    }) as ConditioningCase
  await drawConditioned(engine, request)
  expect(sessions()).toContain('unet')
  created.mockClear()
  await drawConditioned(engine, withPrompt({ images: [9], scale: 0.1 }))
  expect(sessions()).toEqual([])
  await drawConditioned(engine, withPrompt({ adapter: 'face-id', images: null, faces: [5, 6] }))
  expect(new Set(sessions())).toEqual(new Set(['ip_adapter']))
})

test('a prompt of another length costs no session of the UNet', async () => {
  const model = await loadStableDiffusion(engine, `${DATA}/checkpoints/tiny-sdxl`)
  for (const prompt of ['a (red:1.2) house', 'a red house by the sea and a (boat)', 'boat '.repeat(90)]) {
    const run = textToImage(model, {
      prompt,
      negativePrompt: '',
      promptWeighting: true,
      schedule: { numInferenceSteps: 1 },
      guidanceScale: 2,
      seed: 1n,
      width: 32,
      height: 32,
    })
    await finished(run)
  }
  expect(sessions().filter((name) => name === 'unet').length).toBe(1)
})
