import { describe, expect, test } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import type { ExecutionProvider } from '../../src/runtime/session.ts'
import { finished } from './finished.ts'
import { TEST_DEVICE } from './model-case.ts'

const PINHOLE = new URL('../../../../models/pinhole-512', import.meta.url).pathname

async function draw(executionProvider: ExecutionProvider): Promise<Uint8Array> {
  const engine = openEngine({ threads: 2, executionProvider })
  try {
    const model = await loadStableDiffusion(engine, PINHOLE)
    const run = textToImage(model, {
      prompt: 'an island in the ocean at sunset',
      scheduler: { name: 'LCM' },
      schedule: { numInferenceSteps: 4 },
      guidanceScale: 1,
      seed: 1n,
      width: 512,
      height: 512,
    })
    return (await finished(run))[0]?.image.data ?? new Uint8Array()
  } finally {
    await engine.dispose()
  }
}

describe.skipIf(TEST_DEVICE === 'cpu')('the device that DARKROOM_TEST_DEVICE names', () => {
  test('draws the picture that the CPU draws, within 2 of 255 for all but a thousandth of the values', async () => {
    const [expected, found] = [await draw('cpu'), await draw(TEST_DEVICE)]
    expect(found).toHaveLength(512 * 512 * 3)
    const differences = [...found].map((value, i) => Math.abs(value - (expected[i] ?? 0))).sort((a, b) => a - b)
    expect(differences[Math.ceil(differences.length * 0.999) - 1]).toBeLessThanOrEqual(2)
    // A software Vulkan takes 200 s of processor time.
  }, 1_800_000)
})
