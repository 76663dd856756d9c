import { afterAll, expect, test } from 'vitest'
import { OutOfMemoryError } from '../runtime/session.ts'
import { openEngine } from './engine.ts'
import { loadStableDiffusion } from './load-stable-diffusion.ts'
import { textToImage } from './text-to-image.ts'

const CHECKPOINT = new URL('../../test/golden/data/checkpoints/tiny-sd15', import.meta.url).pathname
const engine = openEngine({ threads: 1, memoryBudgetBytes: 60e6 })

afterAll(() => engine.dispose())

function draw(size: number) {
  return loadStableDiffusion(engine, CHECKPOINT).then((model) =>
    textToImage(model, {
      prompt: 'x',
      schedule: { numInferenceSteps: 1 },
      guidanceScale: 1,
      seed: 1n,
      width: size,
      height: size,
    }),
  )
}

test('a picture whose decoder can never fit is refused before the first step', async () => {
  const steps = await draw(1024)
  await expect(steps.next()).rejects.toThrow(OutOfMemoryError)
  await expect((await draw(1024)).next()).rejects.toThrow(/vae_decoder .* needs .* the memory budget is 0\.1 GB/)
})

test('one that fits is drawn within the same budget', async () => {
  const steps = await draw(64)
  expect((await steps.next()).value).toMatchObject({ step: 0, steps: 1 })
  const { done, value } = await steps.next()
  expect(done && value).toMatchObject([{ image: { width: 64, height: 64 } }])
})
