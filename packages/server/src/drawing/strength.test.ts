import { describe, expect, it } from 'vitest'
import type { RunnableEndpoint } from '../endpoints/endpoint.ts'
import { createEndpoints as fastLcm } from '../endpoints/fal-ai/fast-lcm-diffusion/handler.ts'
import { createEndpoints as lcm } from '../endpoints/fal-ai/lcm/handler.ts'
import { createEndpoints as lora } from '../endpoints/fal-ai/lora/handler.ts'
import type { ImageEngine } from './image-engine.ts'
import { requireStepsOfAnyModel } from './strength.ts'

/** Nothing of an engine is needed to refuse. */
const ENDPOINTS = [fastLcm, lcm, lora].flatMap((create) => create({} as ImageEngine))

function endpointOf(id: string): RunnableEndpoint {
  const endpoint = ENDPOINTS.find(({ schema }) => schema.id === id)
  if (endpoint === undefined) throw new Error(`no endpoint ${id}`)
  return endpoint
}

/** Starts a request and tells what became of it and which files it asked for. */
async function start(id: string, input: object) {
  const read: string[] = []
  const context = {
    readFile: (url: string) => {
      read.push(url)
      throw new Error('the picture is away')
    },
  }
  const { schema, handler } = endpointOf(id)
  const parsed = schema.input.parse({ prompt: 'p', image_url: 'https://slow.example/a.png', ...input })
  const error: unknown = await Promise.resolve()
    .then(() => handler(parsed, context as never))
    .catch((reason: unknown) => reason)
  return { error, read }
}

describe('a strength that leaves no step', () => {
  it.each([
    ['fal-ai/fast-lcm-diffusion/image-to-image', { num_inference_steps: 4, strength: 0.2 }, 'strength'],
    ['fal-ai/lcm-sd15-i2i', { num_inference_steps: 4, strength: 0.2 }, 'strength'],
    [
      'fal-ai/lora/image-to-image',
      { model_name: 'm', num_inference_steps: 30, noise_strength: 0.02 },
      'noise_strength',
    ],
    [
      'fal-ai/lora/inpaint',
      { model_name: 'm', mask_url: 'https://slow.example/m.png', num_inference_steps: 30, strength: 0 },
      'noise_strength',
    ],
  ])('%s is refused before the picture is fetched', async (id, input, field) => {
    const { error, read } = await start(id, input)
    expect(error).toMatchObject({ status: 422, detail: [{ loc: ['body', field], type: 'value_error' }] })
    expect(read).toEqual([])
  })

  it.each([
    ['fal-ai/fast-lcm-diffusion/image-to-image', { num_inference_steps: 4, strength: 0.25 }],
    ['fal-ai/lora/image-to-image', { model_name: 'm', num_inference_steps: 30, noise_strength: 0.04 }],
  ])('%s asks for the picture where one step is left', async (id, input) => {
    expect((await start(id, input)).read).toEqual(['https://slow.example/a.png'])
  })
})

it('leaves it to the model where a distilled one could draw', () => {
  expect(() => requireStepsOfAnyModel(4, 0.2, 'noise_strength')).not.toThrow()
  expect(() => requireStepsOfAnyModel(12, 0.02, 'noise_strength')).toThrow('leaves no step to run')
})
