/** `exact` is the same to the bit whatever else is installed, was loaded into the process, or has left prepared weights behind. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { type FastForm, OPENVINO_ARITHMETIC } from '../../src/runtime/fast-form.ts'
import { finished } from './finished.ts'

const PINHOLE = new URL('../../../../models/pinhole-512', import.meta.url).pathname
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exact-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Latents and pixels of one prompt, as bits. */
async function draw(cacheFolder: string, fast?: FastForm) {
  const engine = openEngine({ threads: 2, cacheFolder, ...(fast && { fast }) })
  try {
    const model = await loadStableDiffusion(engine, PINHOLE)
    const run = textToImage(model, {
      prompt: 'an island in the ocean at sunset',
      scheduler: { name: 'LCM' },
      schedule: { numInferenceSteps: 2 },
      guidanceScale: 1,
      seed: 1n,
      width: 256,
      height: 256,
    })
    const [drawn] = await finished(run)
    const hex = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
      Buffer.from(buffer, byteOffset, byteLength).toString('hex')
    return {
      latents: hex(drawn?.latents.data ?? new Float32Array()),
      pixels: hex(drawn?.image.data ?? new Uint8Array()),
    }
  } finally {
    await engine.dispose()
  }
}

test('draws the same bits after every fast form of this machine drew from the same folder', async () => {
  const before = await draw(join(folder, 'own'))
  expect(before.pixels).toHaveLength(2 * 3 * 256 * 256)
  const libraries = process.env.DARKROOM_TEST_OPENVINO
  const shared = join(folder, 'shared')
  const forms: FastForm[] = [{ kind: 'int8' }]
  if (libraries !== undefined) {
    const folders = { libraries, work: join(shared, 'openvino') }
    forms.push(...OPENVINO_ARITHMETIC.map((each) => ({ kind: 'openvino', ...each, folders }) as const))
  }
  for (const form of forms) expect((await draw(shared, form)).latents).not.toBe(before.latents)
  expect(await draw(shared)).toEqual(before)
  // Four engines, of which OpenVINO's compile; 30 s where other programs run.
}, 180_000)
