/** LoRAs beside the weights give what LoRAs merged into them give; the merge is held against peft in lora.test.ts. */

import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { openLora, type ScaledLora } from '../../src/adapters/lora.ts'
import { LoraBranches } from '../../src/adapters/lora-branches.ts'
import { loraChanges } from '../../src/adapters/lora-changes.ts'
import type { Adapters, GeneratedImage } from '../../src/pipelines/draw-images.ts'
import { openEngine } from '../../src/pipelines/engine.ts'
import { loadStableDiffusion } from '../../src/pipelines/load-stable-diffusion.ts'
import type { StableDiffusion } from '../../src/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/pipelines/text-to-image.ts'
import { relativeError } from '../../src/tensor/relative-error.ts'
import { finished } from './finished.ts'

const models = fileURLToPath(new URL('../../../../models/', import.meta.url))
const FOLDER = `${models}pinhole-512`
const LORA = `${models}pinhole-lcm-lora/pytorch_lora_weights.safetensors`

const engine = openEngine({ threads: 2 })
afterAll(() => engine.dispose())

async function draw(model: StableDiffusion, adapters: Adapters = {}): Promise<GeneratedImage> {
  const run = textToImage(model, {
    prompt: 'a red house by the sea',
    negativePrompt: 'night',
    scheduler: { name: 'LCM' },
    schedule: { numInferenceSteps: 2 },
    guidanceScale: 1.5,
    seed: 3n,
    width: 256,
    height: 256,
    adapters,
  })
  return (await finished(run))[0] as GeneratedImage
}

async function branches(model: StableDiffusion, loras: readonly ScaledLora[]): Promise<LoraBranches> {
  const { changes, dense, unused } = loraChanges('unet', model.unet.layers, loras)
  expect({ dense, unused }).toEqual({ dense: [], unused: [] })
  return new LoraBranches('unet', model.unet.layers, changes)
}

test('the demo LCM-LoRA, linear layers and convolutions, twice with different scales', async () => {
  const lora = await openLora(LORA)
  const scales = [1.5, -0.75]
  const base = await loadStableDiffusion(engine, FOLDER)
  const merged = await loadStableDiffusion(engine, FOLDER, { loras: scales.map((scale) => ({ path: LORA, scale })) })
  const beside = await branches(
    base,
    scales.map((scale) => ({ lora, scale })),
  )
  expect(beside.variant).toBe('lora')
  const wanted = (await draw(merged)).latents
  expect(relativeError((await draw(base, { unet: [beside.asUNetAdapter()] })).latents, wanted)).toBeLessThan(1e-5)
  expect(relativeError((await draw(base)).latents, wanted)).toBeGreaterThan(1e-2)
})
