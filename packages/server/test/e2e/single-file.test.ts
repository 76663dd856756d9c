import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readSafetensors, readTensor } from '../../../engine/src/formats/safetensors.ts'
import { relativeError } from '../../../engine/src/tensor/relative-error.ts'
import { type RealServer, startRealServer } from './real-server.ts'

const GOLDEN = new URL('../../../engine/test/golden/data/', import.meta.url).pathname
const SMALL = join(GOLDEN, 'single-files/small.safetensors')

/** `REQUEST` of scripts/golden/single_files.py. */
const REQUEST = {
  prompt: 'a red house by the sea',
  negative_prompt: 'night',
  num_inference_steps: 4,
  guidance_scale: 5,
  seed: 7,
  image_size: { width: 32, height: 24 },
  debug_latents: true,
}

/** The whole server drawing with a checkpoint of one file, as people download them. */
describe('fal-ai/lora with a single file', { timeout: 120_000 }, () => {
  let server: RealServer

  beforeAll(async () => {
    server = await startRealServer(async (folder) => {
      await mkdir(join(folder, 'models/with'), { recursive: true })
      await mkdir(join(folder, 'models/without'))
      await cp(SMALL, join(folder, 'models/with/small.safetensors'))
      await cp(SMALL, join(folder, 'models/without/small.safetensors'))
      await cp(join(GOLDEN, 'checkpoints/tiny-sd15/tokenizer'), join(folder, 'models/with/tokenizer'), {
        recursive: true,
      })
      const pickle = 'cposix\nsystem\n(X\x04\x00\x00\x00echotR.'
      await writeFile(join(folder, 'models/evil.ckpt'), Buffer.from(`\x80\x02${pickle}`, 'latin1'))
      return { DARKROOM_MODELS: join(folder, 'models') }
    })
  })

  afterAll(() => server.stop())

  const draw = (model_name: string) =>
    server.fal.subscribe('fal-ai/lora', { input: { ...REQUEST, model_name }, pollInterval: 50 })

  async function problemOf(model_name: string): Promise<{ readonly status: number; readonly text: string }> {
    const error: unknown = await draw(model_name).catch((reason: unknown) => reason)
    const { status, body } = error as { readonly status: number; readonly body: unknown }
    return { status, text: JSON.stringify(body) }
  }

  test('draws the latents that diffusers draws from that file', async () => {
    const { data } = await draw('with/small.safetensors')
    const response = await fetch(data.debug_latents?.url ?? '')
    const path = join(server.folder, 'latents.safetensors')
    await writeFile(path, new Uint8Array(await response.arrayBuffer()))
    const found = await readTensor(await readSafetensors(path), 'latents')
    const wanted = await readTensor(
      await readSafetensors(join(GOLDEN, 'single-files/small-latents.safetensors')),
      'latents',
    )
    expect(relativeError(found, wanted)).toBeLessThan(1e-4)
  })

  test('says in one sentence what is missing or refused, without a path of the server', async () => {
    const missing = await problemOf('without/small.safetensors')
    expect(missing.status).toBe(422)
    expect(missing.text).toContain("small.safetensors is a single file, which has no vocabulary: CLIP's vocab.json")
    const evil = await problemOf('evil.ckpt')
    expect(evil.status).toBe(422)
    expect(evil.text).toContain('refused `posix.system`')
    expect(missing.text + evil.text).not.toContain(server.folder)
    expect((await draw('with/small.safetensors')).data.images).toHaveLength(1)
  })
})
