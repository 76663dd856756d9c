import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { type ConditioningCase, conditioningCases, drawConditioned } from './conditioning-cases.ts'

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
  // FaceID has four tokens as well.
  await drawConditioned(engine, withPrompt({ adapter: 'face-id', images: null, faces: [5] }))
  expect(sessions()).toEqual(['ip_adapter'])
})
