import { createFal } from '@ai-sdk/fal'
import { decodeImage } from '@darkroom/engine'
import { APICallError, generateImage } from 'ai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWholeServer, type WholeServer } from '../fakes/whole-server.ts'

// The AI SDK's provider, with the one option that it has for another server: `baseURL`.

let server: WholeServer
let fal: ReturnType<typeof createFal>

beforeAll(async () => {
  server = await startWholeServer()
  fal = createFal({ apiKey: server.key, baseURL: `${server.url}/run` })
})

afterAll(() => server.close())

test.each([true, false])('generateImage with syncMode %s', async (syncMode) => {
  const { image, providerMetadata, warnings } = await generateImage({
    model: fal.image('fal-ai/fast-lcm-diffusion'),
    prompt: 'a king',
    size: '64x32',
    seed: 9,
    providerOptions: { fal: { syncMode, numInferenceSteps: 2, guidanceScale: 1.5 } },
  })
  expect(warnings).toEqual([])
  expect(image.mediaType).toBe('image/jpeg')
  expect(providerMetadata.fal).toMatchObject({ images: [{ width: 64, height: 32 }] })
  // The endpoint of this test paints with the seed.
  expect((await decodeImage(image.uint8Array)).data.subarray(0, 3)).toEqual(Uint8Array.of(9, 9, 9))
})

test('generateImage from a picture', async () => {
  const { image: first } = await generateImage({
    model: fal.image('fal-ai/fast-lcm-diffusion'),
    prompt: 'a king',
    size: '64x32',
  })
  const { providerMetadata } = await generateImage({
    model: fal.image('fal-ai/fast-lcm-diffusion/image-to-image'),
    prompt: { text: 'a queen', images: [first.uint8Array] },
  })
  expect(providerMetadata.fal).toMatchObject({ images: [{ width: 64, height: 32 }] })
})

test('the words of an error come through', async () => {
  const error = await generateImage({
    model: fal.image('fal-ai/fast-lcm-diffusion'),
    prompt: 'a king',
    maxRetries: 0,
    providerOptions: { fal: { numInferenceSteps: 50, num_images: 99 } },
  }).catch((caught) => caught)
  expect(APICallError.isInstance(error)).toBe(true)
  expect(error).toMatchObject({
    statusCode: 422,
    message: 'body.num_images: ensure this value is less than or equal to 8',
  })
})
